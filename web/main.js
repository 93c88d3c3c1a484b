// @ts-check
// The page: who is signed in, which view is open, in which language.
import { accessView } from './access.js';
import { accountView } from './account.js';
import { ask, json } from './api.js';
import { attentionView } from './attention.js';
import { count } from './dicom.js';
import { el, replace } from './dom.js';
import { listView } from './list.js';
import { operationsView } from './operations.js';
import { changeView, signInView } from './signin.js';
import { leaveSso, returnToPlace } from './sso.js';
import { currentLanguage, setLanguage, t } from './text.js';
import { viewerView } from './viewer.js';

/**
 * @typedef {{close?: () => void}} View
 * @typedef {{token_required: boolean, user: string, display?: string, kind?: string, permissions?: string[], must_change?: boolean, issuer?: string}} Session
 */

/** @type {Session} */
let session = { token_required: true, user: '' };
/** @type {any} */
let figures = null;
/** @type {any} of the asker: its broken glass, and how many wait for its review */
let access = null;
/** @type {number | undefined} */
let glassTimer;
/** @type {View} */
let view = {};

const bar = /** @type {HTMLElement} */ (document.getElementById('bar'));
const main = /** @type {HTMLElement} */ (document.getElementById('main'));

async function signOut() {
  if (session.issuer && (await leaveSso())) return;
  await ask('api/session', { method: 'DELETE' });
  await start();
}

function switchLanguage() {
  setLanguage(currentLanguage() === 'en' ? 'zh-CN' : 'en');
  show();
}

/** @param {string} hash @param {string} label @param {Element | null} [badge] */
function link(hash, label, badge = null) {
  const here = location.hash === hash || (hash === '#/' && location.hash === '');
  return el('a', { href: hash, 'aria-current': here ? 'page' : null }, label, badge);
}

/** @param {string} permission */
function may(permission) {
  return session.permissions?.includes(permission) ?? false;
}

function drawBar() {
  const open = session.user !== '' && !session.must_change;
  const waiting = figures ? figures.conflicts + figures.quarantined : 0;
  const badge = waiting ? el('span.badge', {}, count(waiting)) : null;
  const reviews = access?.glasses_waiting ? el('span.badge', {}, count(access.glasses_waiting)) : null;
  const alarm = figures?.read_only ? t('read_only') : figures?.full ? t('disk_full') : '';
  replace(
    bar,
    el('a.brand', { href: '#/' }, el('img', { src: 'web/mark.svg', alt: '', width: 22, height: 22 }), 'Gantry'),
    open && el('nav', { 'aria-label': 'Gantry' }, may('study.find') && link('#/', t('studies')), may('faults.read') && link('#/attention', t('attention'), badge), may('cluster.read') && link('#/operations', t('operations')), (may('glass.break') || may('glass.review') || !may('study.find')) && link('#/access', t('access'), reviews)),
    el('span.space'),
    alarm && el('span.alarm', { role: 'alert' }, alarm),
    access?.glass && el('a.glass', { href: '#/access' }, t('glass_until', { time: new Date(access.glass.until_ms).toLocaleTimeString(currentLanguage(), { timeStyle: 'short' }) })),
    figures && el('span.quiet', {}, t('total', { n: count(figures.studies) })),
    el('button.plain', { type: 'button', lang: currentLanguage() === 'en' ? 'zh-CN' : 'en', 'aria-label': t('language_label'), onclick: switchLanguage }, t('language')),
    open && session.kind === 'user' && el('a.who', { href: '#/account', 'aria-current': location.hash === '#/account' ? 'page' : null }, session.display ?? session.user),
    session.user && session.token_required && el('button.plain.leave', { type: 'button', onclick: signOut }, t('sign_out')),
  );
}

// What the bar shows of it ends with the glass itself.
async function refreshAccess() {
  if (!may('glass.break') && !may('glass.review')) return;
  try {
    access = await json('api/access');
  } catch {
    access = null;
  }
  clearTimeout(glassTimer);
  if (access?.glass) glassTimer = setTimeout(refreshAccess, Math.min(access.glass.until_ms - Date.now() + 1000, 0x7fffffff));
  drawBar();
}

async function refreshFigures() {
  if (!may('figures.read')) return;
  try {
    figures = await json('api/figures');
  } catch {
    figures = null;
  }
  drawBar();
}

function openView() {
  if (session.user === '') return signInView(main, start);
  if (session.must_change) return changeView(main, start);
  const study = /^#\/study\/([0-9.]+)(?:\/([^/]*))?$/.exec(location.hash);
  if (study) return viewerView(main, study[1], decodeURIComponent(study[2] ?? ''));
  if (location.hash === '#/attention') return attentionView(main);
  if (location.hash === '#/account' && session.kind === 'user') return accountView(main);
  if (location.hash === '#/operations') return operationsView(main);
  if (location.hash === '#/access' || !may('study.find')) return accessView(main, refreshAccess);
  return listView(main);
}

function show() {
  view.close?.();
  const skip = document.querySelector('.skip');
  if (skip) skip.textContent = t('skip');
  document.documentElement.lang = currentLanguage();
  document.title = 'Gantry';
  document.body.className = location.hash.startsWith('#/study/') && session.user ? 'reading' : '';
  drawBar();
  view = openView();
}

async function start() {
  session = await json('api/session');
  figures = null;
  access = null;
  if (session.user) returnToPlace();
  show();
  if (session.user && !session.must_change) await Promise.all([refreshFigures(), refreshAccess()]);
}

document.querySelector('.skip')?.addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', () => {
  show();
  if (session.user) refreshFigures();
});
start().catch((problem) => replace(main, el('p.notice', { role: 'alert' }, t('failed', { why: problem.message }))));
