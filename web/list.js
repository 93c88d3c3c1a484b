// @ts-check
// The list of studies: searched, newest first, more on demand.
import { json, query } from './api.js';
import { count, date, personName, sex, time } from './dicom.js';
import { announce, el, replace } from './dom.js';
import { t } from './text.js';

/**
 * @typedef {{study: string, patient_id: string, name: string, birth_date: string, sex: string, date: string, time: string, accession: string,
 *   description: string, modalities: string, series_count: number, instance_count: number, patient_conflict: boolean}} Row
 * @typedef {{rows: Row[], next: string, total?: number, more_than_total?: boolean}} Page
 */

const PAGE = 50;
const WAIT_MS = 250;
const MODALITIES = ['CR', 'CT', 'DX', 'MG', 'MR', 'NM', 'PT', 'RF', 'SR', 'US', 'XA'];

// Kept while a study is open, so that coming back shows the same list.
const filter = { words: '', from: '', to: '', modality: '' };

/** @param {string} after where the page before ended */
function address(after) {
  const plain = (/** @type {string} */ day) => day.replaceAll('-', '');
  return `api/worklist${query({ q: filter.words.trim(), from: plain(filter.from), to: plain(filter.to), modality: filter.modality, limit: PAGE, after })}`;
}

/** The study as this patient's: the same Study Instance UID may have come under two. @param {Row} r */
function hashOf(r) {
  return `#/study/${r.study}/${encodeURIComponent(r.patient_id)}`;
}

/** @param {Row} r */
function nameCell(r) {
  const [alphabetic, ideographic, phonetic] = r.name.split('=');
  const name = personName({ Alphabetic: alphabetic, Ideographic: ideographic, Phonetic: phonetic });
  return el(
    'td',
    {},
    el('a.name', { href: hashOf(r) }, name.main),
    name.also && el('span.also', {}, name.also),
    el('span.under', {}, [r.patient_id, sex(r.sex), date(r.birth_date)].filter(Boolean).join(' · ')),
    r.patient_conflict && el('span.flag', {}, t('patient_conflict')),
  );
}

/** @param {Row} r */
function row(r) {
  const modalities = r.modalities.split('\\').filter(Boolean);
  const tr = el(
    'tr',
    {},
    nameCell(r),
    el('td.nowrap', {}, date(r.date), el('span.under', {}, time(r.time))),
    el('td', {}, modalities.map((m) => el('span.chip', {}, m))),
    el('td', {}, r.description, el('span.under', {}, r.accession)),
    el('td.number', {}, count(r.series_count)),
    el('td.number', {}, count(r.instance_count)),
  );
  tr.addEventListener('click', (/** @type {MouseEvent} */ event) => {
    if (!(event.target instanceof HTMLAnchorElement) && !getSelection()?.toString()) location.hash = hashOf(r);
  });
  return tr;
}

/** @param {() => void} changed */
function filterForm(changed) {
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, WAIT_MS);
  };
  /** @param {keyof typeof filter} key */
  const bind = (key) => (/** @type {Event} */ event) => {
    filter[key] = /** @type {HTMLInputElement} */ (event.target).value;
    later();
  };
  const words = el('input', { id: 'words', type: 'search', value: filter.words, placeholder: t('search_label'), autocomplete: 'off', spellcheck: 'false', oninput: bind('words') });
  const from = el('input', { id: 'from', type: 'date', value: filter.from, oninput: bind('from') });
  const to = el('input', { id: 'to', type: 'date', value: filter.to, oninput: bind('to') });
  const modality = el(
    'select',
    { id: 'modality', oninput: bind('modality') },
    el('option', { value: '' }, t('any')),
    MODALITIES.map((m) => el('option', { value: m, selected: m === filter.modality }, m)),
  );
  const clear = () => {
    Object.assign(filter, { words: '', from: '', to: '', modality: '' });
    for (const field of [words, from, to, modality]) field.value = '';
    changed();
    words.focus();
  };
  const labelled = (/** @type {string} */ id, /** @type {string} */ label, /** @type {Element} */ field, wide = false) =>
    el(wide ? 'div.field.wide' : 'div.field', {}, el('label', { for: id }, label), field);
  return el(
    'form.filter',
    { role: 'search', onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), changed()) },
    labelled('words', t('search'), words, true),
    labelled('from', t('from'), from),
    labelled('to', t('to'), to),
    labelled('modality', t('modality'), modality),
    el('button.plain', { type: 'button', onclick: clear }, t('clear')),
  );
}

function head() {
  const heads = [t('patient'), t('study_date'), t('modality'), t('description')];
  const numbers = [t('series'), t('images')];
  return el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)), numbers.map((h) => el('th.number', { scope: 'col' }, h))));
}

/** Tells once when something new has come. @param {() => void} arrived */
function listen(arrived) {
  const events = new EventSource('events');
  let timer = 0;
  events.addEventListener('instance.stored', () => {
    clearTimeout(timer);
    timer = setTimeout(arrived, 1000);
  });
  return () => {
    clearTimeout(timer);
    events.close();
  };
}

/** @param {HTMLElement} at */
export function listView(at) {
  const body = el('tbody');
  const note = el('p.notice', { hidden: true });
  const more = el('button', { type: 'button', hidden: true, onclick: () => load(false) }, t('more'));
  const fresh = el('button.fresh', { type: 'button', hidden: true, onclick: () => load(true) }, t('arrived'));
  const shown = el('p.quiet');
  let rows = 0;
  let next = '';
  let total = '';
  let running = new AbortController();

  /** @param {string} words */
  function say(words) {
    note.hidden = words === '';
    note.textContent = words;
  }

  /** @param {Page} page */
  function add(page) {
    body.append(...page.rows.map(row));
    rows += page.rows.length;
    next = page.next;
    more.hidden = !next;
    if (page.total !== undefined) total = t(page.more_than_total ? 'of_more' : 'of', { n: count(page.total) });
    const filtered = Object.values(filter).some(Boolean);
    say(rows ? '' : t(filtered ? 'none_found' : 'empty'));
    shown.textContent = rows ? `${t('found', { n: count(rows) })} ${total}` : '';
    announce(rows ? `${t('found', { n: count(rows) })} ${total}` : t('none_found'));
  }

  /** @param {boolean} anew */
  async function load(anew) {
    running.abort();
    running = new AbortController();
    fresh.hidden = fresh.hidden || anew;
    try {
      const page = await json(address(anew ? '' : next), running.signal);
      if (anew) {
        rows = 0;
        replace(body);
      }
      add(page);
    } catch (problem) {
      if (problem instanceof DOMException && problem.name === 'AbortError') return;
      say(t('failed', { why: problem instanceof Error ? problem.message : '' }));
    }
  }

  replace(at, el('section.sheet', {}, filterForm(() => load(true)), fresh, el('table.rows.links', {}, head(), body), note, el('div.foot', {}, more, shown)));
  load(true);
  const unlisten = listen(() => {
    fresh.hidden = false;
  });
  return {
    close() {
      running.abort();
      unlisten();
    },
  };
}
