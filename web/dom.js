// @ts-check
// Building elements: text is always text, never markup.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @param {string} name tag, with classes behind dots: "div.row.wide"
 * @param {Record<string, any>} [attributes] "on..." are listeners; true sets an empty attribute; null and false leave it out
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

/** @param {Node} node @param {(Child | Child[])[]} children */
function append(node, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    node.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** @param {Element} node @param {...(Child | Child[])} children */
export function replace(node, ...children) {
  node.textContent = '';
  append(node, children);
}

/** @param {string} text said by screen readers */
export function announce(text) {
  const live = document.getElementById('live');
  if (live) live.textContent = text;
}
