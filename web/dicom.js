// @ts-check
// Reading DICOM JSON: values, names, dates.
import { currentLanguage, t } from './text.js';

/** @typedef {Record<string, {vr: string, Value?: any[]}>} Dataset */

/** @param {Dataset} ds @param {string} tag @returns {any} the first value */
export function value(ds, tag) {
  return ds[tag]?.Value?.[0];
}

/** @param {Dataset} ds @param {string} tag @returns {string} */
export function text(ds, tag) {
  const v = value(ds, tag);
  return v === undefined || v === null || typeof v === 'object' ? '' : String(v);
}

/** @param {Dataset} ds @param {string} tag @returns {number | undefined} */
export function number(ds, tag) {
  const v = Number(value(ds, tag));
  return value(ds, tag) === undefined || Number.isNaN(v) ? undefined : v;
}

/** @param {string} group one component group of a PN */
function readable(group) {
  const [family = '', given = '', middle = ''] = group.split('^').map((s) => s.trim());
  const chinese = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]/.test(family + given);
  if (chinese) return family + given + middle;
  const rest = [given, middle].filter(Boolean).join(' ');
  return family && rest ? `${family}, ${rest}` : family || rest;
}

/**
 * A patient's name as it is read: characters first where there are any, then letters.
 * @param {any} pn
 * @returns {{main: string, also: string}}
 */
export function personName(pn) {
  const characters = readable(pn?.Ideographic ?? '');
  const letters = readable(pn?.Alphabetic ?? '');
  const main = characters || letters;
  return { main: main || t('unnamed'), also: main === letters ? '' : letters };
}

/** @param {string} da "20240229" */
export function date(da) {
  return /^\d{8}$/.test(da) ? `${da.slice(0, 4)}-${da.slice(4, 6)}-${da.slice(6, 8)}` : da;
}

/** @param {string} tm "101530.5" */
export function time(tm) {
  return /^\d{4}/.test(tm) ? `${tm.slice(0, 2)}:${tm.slice(2, 4)}` : '';
}

/** @param {string} code */
export function sex(code) {
  return code === 'M' ? t('male') : code === 'F' ? t('female') : code === 'O' ? t('other') : code;
}

/** @param {number} n */
export function count(n) {
  return n.toLocaleString(currentLanguage());
}
