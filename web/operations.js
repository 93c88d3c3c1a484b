// @ts-check
// The nodes of the archive, what waits to be done, and where the volumes lie; asked for again every few seconds while it is shown.
import { json } from './api.js';
import { count } from './dicom.js';
import { announce, el, replace } from './dom.js';
import { currentLanguage, t } from './text.js';

/** @typedef {import('./text.js').Key} Key */

const EVERY_MS = 3000;
const LAG_MANY = 1000; // events

/** @type {Record<string, [string, Key]>} how a node's state looks, and what it is called */
const STATES = {
  ready: ['good', 'state_ready'],
  starting: ['warn', 'state_starting'],
  draining: ['warn', 'state_draining'],
  stopped: ['quiet', 'state_stopped'],
  dead: ['bad', 'state_dead'],
};

/** @type {Record<string, Key>} */
const PLACES = { directory: 'place_directory', bucket: 'place_bucket', index: 'place_index' };

/** @param {number} value @param {string} unit */
function measure(value, unit) {
  return new Intl.NumberFormat(currentLanguage(), { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

/** @param {number} bytes */
function size(bytes) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'];
  let at = 0;
  for (; bytes >= 1000 && at < units.length - 1; at++) bytes /= 1000;
  return measure(bytes, units[at]);
}

/** @param {number} ms */
function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 100) return measure(Math.round(s), 'second');
  if (s < 6000) return measure(Math.round(s / 60), 'minute');
  return s < 48 * 3600 ? measure(Math.round(s / 3600), 'hour') : measure(Math.round(s / 86400), 'day');
}

/** What somebody must look at, in words. @param {any} status */
function warnings(status) {
  const found = [];
  for (const node of status.nodes) {
    const name = node.name, figures = node.figures;
    if (node.state === 'dead') found.push(t('warn_dead', { name, ago: duration(node.seen_ms_ago) }));
    if (node.state === 'dead' || node.state === 'stopped') continue;
    if (figures.bucket_away) found.push(t('warn_bucket', { name }));
    if (figures.full) found.push(t('warn_full', { name }));
    if (figures.read_only) found.push(t('warn_read_only', { name }));
    if (figures.event_lag > LAG_MANY) found.push(t('warn_lag', { name, n: count(figures.event_lag) }));
  }
  for (const job of status.jobs) if (job.dead) found.push(t('warn_jobs', { kind: job.kind, n: count(job.dead) }));
  return found;
}

/** @param {any} node */
function store(node) {
  const f = node.figures, asked = (f.cache_hits ?? 0) + (f.cache_misses ?? 0);
  const words = [];
  if (f.bucket_away) words.push(t('bucket_away'));
  if (f.disk_free_bytes) words.push(t('disk_free', { n: size(f.disk_free_bytes) }));
  if (f.cache_bytes) words.push(t('cache', { n: size(f.cache_bytes) }));
  if (f.cache_bytes && asked) words.push(t('cache_share', { n: Math.round((100 * f.cache_hits) / asked) }));
  return words.join(t('comma'));
}

/** @param {any} node */
function nodeRow(node) {
  const [look, word] = STATES[node.state] ?? ['quiet', 'state_stopped'];
  const here = node.state !== 'stopped' && node.state !== 'dead';
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, node.name, el('span.under', {}, [node.dicom, node.http].filter(Boolean).join('  '))),
    el('td.nowrap', {}, el(`span.state.${look}`, {}, t(word))),
    el('td', {}, node.version),
    el('td.number', {}, here ? duration(node.up_ms) : ''),
    el('td.number', {}, duration(node.seen_ms_ago)),
    el('td.number', {}, here ? count(node.figures.event_lag ?? 0) : ''),
    el('td.number', {}, here ? count(node.figures.stored ?? 0) : ''),
    el('td', {}, here ? store(node) : ''),
  );
}

/** @param {any} job */
function jobRow(job) {
  const numbers = [job.due, job.waiting, job.leased].map((n) => el('td.number', {}, count(n)));
  return el('tr', {}, el('th', { scope: 'row' }, job.kind), numbers, el(job.dead ? 'td.number.failure' : 'td.number', {}, count(job.dead)));
}

/** @param {any} v */
function volumeRow(v) {
  const place = PLACES[v.place];
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, place ? t(place) : v.place, v.class && el('span.also', {}, v.class)),
    // What a volume of a directory takes is known when it is full.
    [count(v.volumes), v.bytes ? size(v.bytes) : '–', count(v.to_merge), count(v.removed)].map((text) => el('td.number', {}, text)),
  );
}

/** @param {Key} title @param {Key[]} heads @param {any[]} rows @param {number[]} [left] columns of words; the others are numbers */
function table(title, heads, rows, left = [0]) {
  const head = el('thead', {}, el('tr', {}, heads.map((h, i) => el(left.includes(i) ? 'th' : 'th.number', { scope: 'col' }, t(h)))));
  const body = rows.length ? el('table.rows.ops', {}, head, el('tbody', {}, rows)) : el('p.quiet', {}, t('nothing_here'));
  return el('section', {}, el('h1', {}, t(title)), el('div.wide', {}, body));
}

/** @param {any} status */
function panel(status) {
  const found = warnings(status);
  announce(found.join(' '));
  return [
    found.length ? el('ul.warnings', {}, found.map((w) => el('li', {}, w))) : el('p.quiet', {}, t('all_is_well')),
    table('nodes', ['node', 'state', 'version', 'up', 'seen', 'lag', 'stored', 'store'], status.nodes.map(nodeRow), [0, 1, 2, 7]),
    table('queues', ['kind', 'due', 'later', 'running', 'given_up'], status.jobs.map(jobRow)),
    table('volumes', ['place', 'number', 'bytes', 'to_merge', 'to_remove'], status.volumes.map(volumeRow)),
    el('p.quiet', {}, t('engine', { engine: status.engine === 'postgresql' ? 'PostgreSQL' : 'SQLite', schema: status.schema, n: count(status.events.last) })),
  ];
}

/** @param {HTMLElement} at */
export function operationsView(at) {
  const body = el('div.sheet.stacked', {}, el('p.quiet', {}, t('loading')));
  let open = true, timer = 0;
  replace(at, body);

  async function refresh() {
    try {
      const status = await json('api/cluster');
      if (open) replace(body, ...panel(status));
    } catch (problem) {
      if (open) replace(body, el('p.failure', { role: 'alert' }, t('failed', { why: problem instanceof Error ? problem.message : '' })));
    }
    if (open) timer = setTimeout(refresh, EVERY_MS);
  }

  refresh();
  return {
    close() {
      open = false;
      clearTimeout(timer);
    },
  };
}
