// The state of a page lives in its URL, so that every view can be sent to somebody.

const listeners = new Set();

export function get(name, otherwise = "") {
  return new URLSearchParams(location.search).get(name) ?? otherwise;
}

export function getAll(name) {
  const text = get(name);
  return text ? text.split(",") : [];
}

export function set(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    const text = Array.isArray(value) ? value.join(",") : value;
    if (text === null || text === undefined || text === "") query.delete(name);
    else query.set(name, text);
  }
  query.delete("token");
  const text = query.toString().replaceAll("%2C", ",");
  const target = `${location.pathname}${text ? `?${text}` : ""}${location.hash}`;
  if (target !== `${location.pathname}${location.search}${location.hash}`) history.replaceState(history.state, "", target);
  for (const listener of listeners) listener(changes);
}

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// What a person chose stays chosen on this machine.
export function remembered(key, otherwise) {
  try {
    const text = localStorage.getItem(key);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // private windows may refuse; the choice then lasts as long as the page
  }
}
