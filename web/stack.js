// @ts-check
// A stack of pictures: wheel, keys and touch turn its pages, dragging moves the window, neighbours are fetched before they are asked for.
import { json } from './api.js';
import { number } from './dicom.js';
import { el } from './dom.js';
import { t } from './text.js';

/**
 * @typedef {import('./viewer.js').Picture} Picture
 * @typedef {{center: number, width: number, guessed?: boolean}} Window
 * @typedef {{previousSeries: () => void, nextSeries: () => void}} Neighbours
 */

const AHEAD = 6; // pictures fetched in the direction of movement; half as many behind
const KEPT = 64;
const WHEEL_STEP = 40; // pixels of a smooth wheel for one picture
const SWIPE_STEP = 18;
const DRAG_SPAN = 400; // pixels of dragging for the width of the window

/** Pictures that are being fetched or are there, the oldest first. */
class Cache {
  constructor() {
    /** @type {Map<string, HTMLImageElement>} */
    this.images = new Map();
  }

  /** @param {string} url */
  get(url) {
    let image = this.images.get(url);
    if (image) this.images.delete(url);
    else {
      image = new Image();
      image.decoding = 'async';
      image.src = url;
    }
    this.images.set(url, image);
    if (this.images.size > KEPT) this.images.delete(/** @type {string} */ (this.images.keys().next().value));
    return image;
  }
}

/**
 * The window that an object asks for; when it asks for none a guess from its values or bits, from which dragging may start.
 * @param {string} instance
 * @returns {Promise<Window>}
 */
async function windowOf(instance) {
  const [ds] = await json(`${instance}/metadata`);
  const functional = ds['52009229']?.Value?.[0]?.['00289132']?.Value?.[0] ?? ds;
  const center = number(functional, '00281050');
  const width = number(functional, '00281051');
  if (center !== undefined && width) return { center, width };
  const low = number(ds, '00280106') ?? 0;
  const high = number(ds, '00280107') ?? 2 ** (number(ds, '00280101') ?? 8) - 1;
  const slope = number(ds, '00281053') ?? 1;
  const intercept = number(ds, '00281052') ?? 0;
  return { center: ((low + high + 1) / 2) * slope + intercept, width: (high - low + 1) * slope, guessed: true };
}

/**
 * @param {HTMLElement} stage
 * @param {Neighbours} neighbours
 */
export function imageStack(stage, neighbours) {
  const image = el('img.picture', { alt: '', draggable: 'false' });
  const place = el('div.corner.bottom.left');
  const windowText = el('div.corner.bottom.right');
  const words = el('p.words');
  const track = el('div.track', { 'aria-hidden': 'true' }, el('div.thumbmark'));
  const reset = el('button.plain.corner.top.right', { type: 'button', hidden: true, onclick: () => setWindow(null) }, t('reset'));
  const pane = el('div.pane', { tabindex: '0', role: 'img', 'aria-label': t('images'), 'aria-describedby': 'viewer-help' }, image, words, place, windowText, track);
  stage.append(pane, reset, el('p.help', { id: 'viewer-help' }, t('viewer_help')));

  const cache = new Cache();
  /** @type {Picture[]} */
  let pictures = [];
  let at = 0;
  let direction = 1;
  /** @type {Window | null} */
  let chosen = null; // by dragging; null: what the object asks for
  /** @type {Window | null} */
  let own = null; // what the object asks for, once known
  let wanted = '';

  /** @param {number} i */
  function urlOf(i) {
    return chosen ? `${pictures[i].url}?window=${chosen.center.toFixed(1)},${chosen.width.toFixed(1)},linear` : pictures[i].url;
  }

  function fetchAhead() {
    for (let k = 1; k <= AHEAD; k++) {
      if (pictures[at + k * direction]) cache.get(urlOf(at + k * direction));
      if (k <= AHEAD / 2 && pictures[at - k * direction]) cache.get(urlOf(at - k * direction));
    }
  }

  function drawWords() {
    const p = pictures[at];
    const parts = [t('image_of', { i: at + 1, n: pictures.length })];
    if (p && p.frames > 1) parts.push(t('frame_of', { i: p.frame, n: p.frames }));
    place.textContent = p ? parts.join(' · ') : '';
    const shown = chosen ?? (own?.guessed ? null : own);
    windowText.textContent = p && shown ? t('window_value', { c: Math.round(shown.center), w: Math.round(shown.width) }) : '';
    reset.hidden = !chosen;
    pane.setAttribute('aria-label', place.textContent || t('images'));
    const mark = /** @type {HTMLElement} */ (track.firstElementChild);
    track.hidden = pictures.length < 2;
    mark.style.top = pictures.length > 1 ? `${(at / (pictures.length - 1)) * 100}%` : '0';
  }

  /** Shows the picture that is wanted when it has come, unless another one is wanted by then. */
  function draw() {
    drawWords();
    if (!pictures.length) return;
    const url = urlOf(at);
    const next = cache.get(url);
    wanted = url;
    const put = () => {
      if (wanted !== url) return;
      image.src = next.src;
      image.hidden = false;
      words.textContent = '';
      if (!chosen || !dragging) fetchAhead();
    };
    if (next.complete && next.naturalWidth) return put();
    next.onload = put;
    next.onerror = () => {
      cache.images.delete(url);
      if (wanted !== url) return;
      image.hidden = true;
      words.textContent = t('no_image');
    };
  }

  /** @param {number} by */
  function turn(by) {
    const next = Math.min(Math.max(at + by, 0), pictures.length - 1);
    if (next === at) return;
    direction = Math.sign(by);
    at = next;
    draw();
  }

  /** @param {Window | null} next */
  function setWindow(next) {
    chosen = next;
    draw();
  }

  // ---- wheel and keys ----

  let wheel = 0;
  pane.addEventListener(
    'wheel',
    (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      if (event.deltaMode !== 0) return turn(Math.sign(event.deltaY));
      wheel += event.deltaY;
      const steps = Math.trunc(wheel / WHEEL_STEP);
      wheel -= steps * WHEEL_STEP;
      if (steps) turn(steps);
    },
    { passive: false },
  );

  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowDown: () => turn(1),
    ArrowRight: () => turn(1),
    ArrowUp: () => turn(-1),
    ArrowLeft: () => turn(-1),
    Home: () => turn(-pictures.length),
    End: () => turn(pictures.length),
    PageDown: () => neighbours.nextSeries(),
    PageUp: () => neighbours.previousSeries(),
    r: () => setWindow(null),
    R: () => setWindow(null),
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const within = event.target === document.body || (event.target instanceof Element && event.target.closest('.viewer'));
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey || !within) return;
    event.preventDefault();
    keys[event.key]();
  };
  document.addEventListener('keydown', onKey);

  // ---- dragging: a mouse moves the window, a finger turns pages ----

  let dragging = false;
  let startX = 0;
  let startY = 0;
  /** @type {Window} */
  let startWindow = { center: 0, width: 1 };

  pane.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0 || !pictures.length) return;
    pane.focus();
    pane.setPointerCapture(event.pointerId);
    dragging = true;
    startX = event.clientX;
    startY = event.clientY;
    startWindow = chosen ?? own ?? startWindow;
  });
  pane.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    if (!dragging) return;
    const dx = event.clientX - startX;
    const dy = event.clientY - startY;
    if (event.pointerType === 'touch') {
      const steps = Math.trunc(-dy / SWIPE_STEP);
      if (steps) startY = event.clientY;
      turn(steps);
      return;
    }
    if (!own || Math.abs(dx) + Math.abs(dy) < 3) return;
    const scale = Math.max(startWindow.width, 16) / DRAG_SPAN;
    setWindow({ center: startWindow.center + dy * scale, width: Math.max(1, startWindow.width + dx * scale) });
  });
  const endDrag = () => {
    if (dragging && chosen) fetchAhead();
    dragging = false;
  };
  pane.addEventListener('pointerup', endDrag);
  pane.addEventListener('pointercancel', endDrag);

  return {
    /** @param {Picture[]} next */
    show(next) {
      pictures = next;
      at = 0;
      direction = 1;
      chosen = own = null;
      image.hidden = true;
      draw();
      if (!next.length) return;
      windowOf(next[0].instance)
        .then((w) => {
          if (pictures !== next) return;
          own = w;
          drawWords();
        })
        .catch(() => {});
    },
    /** @param {string} text */
    say(text) {
      image.hidden = true;
      words.textContent = text;
    },
    close() {
      document.removeEventListener('keydown', onKey);
    },
  };
}
