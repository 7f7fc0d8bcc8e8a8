// What people are called, and what outlives the page: the own name in this browser, and the rooms of this tab.

const MOST_NAMES = 2000;
const MOST_NAME_CHARS = 40;

/** Something that was kept before. */
export function kept(storage, key, otherwise) {
  try {
    return JSON.parse(storage.getItem(`roomwire.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keeps something, where browsers let pages do that. */
export function keep(storage, key, value) {
  try {
    storage.setItem(`roomwire.${key}`, JSON.stringify(value));
  } catch {
    // Not kept, then.
  }
}

/** A name as it is shown. */
export const shortName = (name) => name.trim().slice(0, MOST_NAME_CHARS);

const guest = () => `guest ${Math.random().toString(36).slice(2, 6)}`;
let own = shortName(String(kept(localStorage, 'name', ''))) || guest();

/** Who sits here. */
export const me = {
  get name() {
    return own;
  },
  set name(name) {
    own = shortName(name) || guest();
    keep(localStorage, 'name', own);
  },
};

// By client id, as the members tell it. Those that were heard of last.
const names = new Map();

/** What a member is called. Nobody checks that: two may have the same name. */
export const nameOf = (id) => names.get(id) ?? `guest ${String(id).slice(7, 11)}`;

/** Notes what a member says that it is called. */
export function learn(id, name) {
  if (typeof name === 'string' && name.trim()) {
    names.delete(id);
    names.set(id, shortName(name));
    if (names.size > MOST_NAMES) {
      names.delete(names.keys().next().value);
    }
  }
}
