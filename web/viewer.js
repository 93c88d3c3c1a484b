// @ts-check
// One study: its series on the left, the images of one of them in the middle.
import { ROOT, json, query } from './api.js';
import { date, number, personName, sex, text, time, value } from './dicom.js';
import { announce, el, replace } from './dom.js';
import { imageStack } from './stack.js';
import { t } from './text.js';

/**
 * @typedef {import('./dicom.js').Dataset} Dataset
 * @typedef {{url: string, instance: string, frame: number, frames: number}} Picture
 */

const HAS_NO_IMAGE = new Set(['SR', 'KO', 'PR', 'RTSTRUCT', 'RTPLAN', 'REG', 'SEG', 'RWV', 'DOC', 'M3D', 'AU', 'ECG', 'HD', 'PLAN']);

/** @param {Dataset} a @param {Dataset} b */
function byNumber(a, b) {
  return (number(a, '00200013') ?? 0) - (number(b, '00200013') ?? 0);
}

/** The pictures of a series: every frame of every instance that has rows. @param {string} base @param {Dataset[]} instances @returns {Picture[]} */
function picturesOf(base, instances) {
  return instances
    .filter((ds) => number(ds, '00280010'))
    .sort(byNumber)
    .flatMap((ds) => {
      const instance = `${base}/instances/${text(ds, '00080018')}`;
      const frames = number(ds, '00280008') ?? 1;
      return Array.from({ length: frames }, (_, i) => ({
        url: frames > 1 ? `${instance}/frames/${i + 1}/rendered` : `${instance}/rendered`,
        instance,
        frame: i + 1,
        frames,
      }));
    });
}

/** @param {Dataset} ds @param {boolean} shared whether the study is also another patient's */
function banner(ds, shared) {
  const name = personName(value(ds, '00100010'));
  const facts = [text(ds, '00100020'), sex(text(ds, '00100040')), date(text(ds, '00100030'))].filter(Boolean);
  const study = [date(text(ds, '00080020')), time(text(ds, '00080030')), text(ds, '00081030'), text(ds, '00080050')].filter(Boolean);
  return el(
    'div.banner',
    {},
    el('a.back', { href: '#/' }, '‹ ', t('back')),
    el('h1', {}, name.main, name.also && el('span.also', {}, name.also)),
    el('span.facts', {}, facts.join(' · ')),
    el('span.facts.quiet', {}, study.join(' · ')),
    shared && el('span.flag', { role: 'alert' }, t('patient_conflict')),
  );
}

/**
 * @param {string} study
 * @param {Dataset} ds
 * @param {boolean} pictured false where the thumbnail could be another patient's
 * @param {() => void} choose
 */
function seriesButton(study, ds, pictured, choose) {
  const modality = text(ds, '00080060');
  const uid = text(ds, '0020000E');
  const n = number(ds, '00201209') ?? 0;
  const picture = !pictured || HAS_NO_IMAGE.has(modality)
    ? el('span.thumb', { 'aria-hidden': 'true' }, modality)
    : el('img.thumb', { src: `${ROOT}/studies/${study}/series/${uid}/thumbnail?viewport=96,96`, alt: '', loading: 'lazy', draggable: 'false' });
  picture.addEventListener('error', () => picture.replaceWith(el('span.thumb', { 'aria-hidden': 'true' }, modality)));
  const words = [text(ds, '00200011') && `#${text(ds, '00200011')}`, modality, n === 1 ? t('one_image') : t('n_images', { n })];
  return el(
    'button.series',
    { type: 'button', 'data-uid': uid, onclick: choose },
    picture,
    el('span.words', {}, el('span.title', {}, text(ds, '0008103E') || modality), el('span.under', {}, words.filter(Boolean).join(' · '))),
  );
}

/** @param {HTMLElement} at @param {string} study @param {string} patient its PatientID, empty when unknown */
export function viewerView(at, study, patient) {
  const list = el('nav.serieslist', { 'aria-label': t('series') });
  const stage = el('div.stage');
  const top = el('div.banner', {}, el('a.back', { href: '#/' }, '‹ ', t('back')));
  const stack = imageStack(stage, { previousSeries: () => step(-1), nextSeries: () => step(1) });
  /** @type {Dataset[]} */
  let series = [];
  let current = -1;
  let closed = false;
  const exact = /[*?\\]/.test(patient) ? '' : patient; // such an ID would match others too

  /** @param {string} words */
  function fail(words) {
    stack.show([]);
    stack.say(words);
  }

  /** @param {number} i */
  async function choose(i) {
    if (i < 0 || i >= series.length || i === current) return;
    current = i;
    list.querySelectorAll('button').forEach((/** @type {Element} */ b, /** @type {number} */ k) => b.setAttribute('aria-current', String(k === i)));
    list.querySelectorAll('button')[i].scrollIntoView({ block: 'nearest' });
    const base = `${ROOT}/studies/${study}/series/${text(series[i], '0020000E')}`;
    stack.say(t('loading'));
    try {
      const pictures = picturesOf(base, await json(`${base}/instances${query({ PatientID: exact })}`));
      if (closed || current !== i) return;
      if (!pictures.length) return fail(t('no_image'));
      stack.show(pictures);
      announce(`${text(series[i], '0008103E')} ${t('image_of', { i: 1, n: pictures.length })}`);
    } catch (problem) {
      if (current === i) fail(t('failed', { why: problem instanceof Error ? problem.message : '' }));
    }
  }

  /** @param {number} by */
  function step(by) {
    choose(current + by);
  }

  async function load() {
    try {
      const [found, rows] = await Promise.all([json(`${ROOT}/studies?StudyInstanceUID=${study}`), json(`${ROOT}/studies/${study}/series${query({ PatientID: exact })}`)]);
      if (closed) return;
      const own = found.find((/** @type {Dataset} */ ds) => !patient || text(ds, '00100020') === patient) ?? found[0];
      if (own) {
        top.replaceWith(banner(own, found.length > 1));
        document.title = `${personName(value(own, '00100010')).main} – Gantry`;
      }
      series = rows;
      replace(list, series.map((ds, i) => seriesButton(study, ds, found.length < 2, () => choose(i))));
      const first = series.findIndex((ds) => !HAS_NO_IMAGE.has(text(ds, '00080060')));
      if (series.length) await choose(Math.max(first, 0));
      else fail(t('no_series'));
    } catch (problem) {
      if (!closed) fail(t('failed', { why: problem instanceof Error ? problem.message : '' }));
    }
  }

  replace(at, el('div.viewer', {}, top, el('div.room', {}, list, stage)));
  load();
  return {
    close() {
      closed = true;
      stack.close();
    },
  };
}
