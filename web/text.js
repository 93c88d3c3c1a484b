// @ts-check
// The words of the page in each language: the tables have the same keys.

/** @typedef {keyof typeof EN} Key */

const EN = {
  skip: 'Skip to content',
  studies: 'Studies',
  attention: 'Needs attention',
  language: '中文',
  language_label: 'Switch the language to Chinese',
  sign_in: 'Sign in',
  sign_out: 'Sign out',
  token: 'Administrator token',
  token_help: 'The server printed it at its first start.',
  wrong_token: 'This is not the administrator token.',
  search: 'Search',
  search_label: 'Patient name, pinyin or ID',
  from: 'From',
  to: 'To',
  modality: 'Modality',
  any: 'Any',
  clear: 'Clear',
  patient: 'Patient',
  id: 'ID',
  sex: 'Sex',
  birth_date: 'Born',
  study_date: 'Study date',
  description: 'Description',
  accession: 'Accession',
  series: 'Series',
  images: 'Images',
  more: 'More studies',
  none_found: 'No study matches.',
  empty: 'No studies yet. Send some over DICOM, STOW-RS or with "gantry import".',
  found: '{n} shown',
  of: 'of {n}',
  of_more: 'of more than {n}',
  total: '{n} studies',
  arrived: 'New images have arrived. Show them',
  loading: 'Loading',
  failed: 'This could not be loaded: {why}',
  retry: 'Try again',
  back: 'All studies',
  one_image: '1 image',
  n_images: '{n} images',
  image_of: 'Image {i} of {n}',
  frame_of: 'frame {i} of {n}',
  window: 'Window',
  window_value: 'C {c}  W {w}',
  reset: 'Reset window',
  no_series: 'This study has no series.',
  no_image: 'This object cannot be shown as an image here.',
  document: 'not an image',
  viewer_help: 'Wheel or arrow keys: next image. Drag: window. R: reset. Page up and down: series.',
  patient_conflict: 'Also under another patient',
  unnamed: 'No name',
  male: 'M',
  female: 'F',
  other: 'O',
  conflicts: 'Conflicting copies',
  conflicts_help: 'Other bytes came under a SOP Instance UID that is taken, or a study came under a second patient. The first copy is served; nothing was overwritten.',
  quarantine: 'Quarantine',
  quarantine_help: 'Objects that could not be understood. They are kept with their reason.',
  nothing_here: 'Nothing here.',
  when: 'When',
  source: 'From',
  object: 'Object',
  reason: 'Reason',
  disk_full: 'The disk is full: nothing can be stored until there is room.',
  read_only: 'The store is read-only after a failed write: see the server log.',
};

/** @type {Record<Key, string>} */
const ZH = {
  skip: '跳到内容',
  studies: '检查列表',
  attention: '待处理',
  language: 'English',
  language_label: '切换为英文',
  sign_in: '登录',
  sign_out: '退出',
  token: '管理员令牌',
  token_help: '服务器首次启动时打印过一次。',
  wrong_token: '令牌不正确。',
  search: '查找',
  search_label: '患者姓名、拼音或编号',
  from: '从',
  to: '到',
  modality: '检查类型',
  any: '全部',
  clear: '清除',
  patient: '患者',
  id: '编号',
  sex: '性别',
  birth_date: '出生日期',
  study_date: '检查时间',
  description: '检查描述',
  accession: '检查号',
  series: '序列',
  images: '图像',
  more: '更多检查',
  none_found: '没有符合条件的检查。',
  empty: '还没有检查。可通过 DICOM、STOW-RS 或“gantry import”送入。',
  found: '已显示 {n} 项',
  of: '共 {n} 项',
  of_more: '共超过 {n} 项',
  total: '共 {n} 项检查',
  arrived: '有新图像到达，点击显示',
  loading: '正在加载',
  failed: '无法加载：{why}',
  retry: '重试',
  back: '全部检查',
  one_image: '1 幅图像',
  n_images: '{n} 幅图像',
  image_of: '第 {i} 幅，共 {n} 幅',
  frame_of: '第 {i} 帧，共 {n} 帧',
  window: '窗',
  window_value: '窗位 {c}  窗宽 {w}',
  reset: '恢复窗宽窗位',
  no_series: '此检查没有序列。',
  no_image: '此对象无法在这里显示为图像。',
  document: '非图像',
  viewer_help: '滚轮或方向键：翻看图像；拖动：调窗；R：恢复；上下翻页键：换序列。',
  patient_conflict: '同一检查另属其他患者',
  unnamed: '无姓名',
  male: '男',
  female: '女',
  other: '其他',
  conflicts: '冲突副本',
  conflicts_help: '同一 SOP Instance UID 收到了不同内容，或同一检查来自另一患者。对外提供的是第一份，没有任何内容被覆盖。',
  quarantine: '隔离区',
  quarantine_help: '无法解析的对象，连同原因一并保留。',
  nothing_here: '没有内容。',
  when: '时间',
  source: '来源',
  object: '对象',
  reason: '原因',
  disk_full: '磁盘已满：腾出空间之前无法存储。',
  read_only: '写入失败后存储为只读：请查看服务器日志。',
};

/** @type {Record<string, Record<Key, string>>} */
export const TABLES = { en: EN, 'zh-CN': ZH };

function initial() {
  const kept = localStorage.getItem('language');
  if (kept && kept in TABLES) return kept;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
}

let language = initial();

export function currentLanguage() {
  return language;
}

/** @param {string} next */
export function setLanguage(next) {
  language = next;
  localStorage.setItem('language', next);
  document.documentElement.lang = next;
}

/**
 * The words for a key, with {name} replaced.
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return TABLES[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}
