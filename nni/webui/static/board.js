// All trials of the experiment in this page: fetched once as compact rows, kept true by deltas.
import { remembered } from "./address.js";

const STALE = 5000; // ms without an answer before the page says so

class Board {
  constructor() {
    this.api = null;
    this.trials = new Map(); // by sequence
    this.parameters = []; // names; a trial's `p` has its values at the same places
    this.metrics = []; // names of further values of results that are objects, for `m`
    this.total = 0;
    this.sampled = false;
    this.revision = 0;
    this.summary = null;
    this.loaded = false;
    this.interval = remembered("nni-interval", 0);
    this.listeners = { trials: new Set(), summary: new Set(), connection: new Set() };
    this.pending = [];
    this.connected = true;
  }

  url(path) {
    return `${this.api}${path}`;
  }

  async json(path, options) {
    const answer = await fetch(this.url(path), options);
    const body = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(body?.error ?? `${answer.status} ${answer.statusText}`);
    return body;
  }

  async text(path) {
    const answer = await fetch(this.url(path));
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error ?? answer.statusText);
    return answer.text();
  }

  on(kind, listener) {
    this.listeners[kind].add(listener);
    return () => this.listeners[kind].delete(listener);
  }

  emit(kind, value) {
    for (const listener of this.listeners[kind]) listener(value);
  }

  start(api) {
    if (this.api) return;
    this.api = api;
    this.connect();
  }

  load() {
    this.loading ??= this.fetchAll();
    return this.loading;
  }

  async fetchAll() {
    for (;;) {
      try {
        const columns = await this.json("/columns");
        this.take(columns);
        // The first answer serves many pages and may be a little old; what stands first is to be true.
        const since = await this.json(`/columns?after=${columns.revision}`);
        this.take(since);
        this.sampled = columns.sampled;
        this.total = since.total;
        this.loaded = true;
        this.emit("trials", { all: true, changed: [...this.trials.values()] });
        this.follow();
        return;
      } catch (error) {
        this.tell(false, error.message);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }

  // Events

  connect() {
    const after = this.loaded ? this.revision : -1; // at first only how the experiment stands
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}${this.api}/events?compact=1&after=${after}`);
    this.socket = socket;
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "summary") {
        this.summary = message;
        if (this.total < message.trials) this.total = message.trials;
        this.tell(true);
        this.later("summary");
      } else if (message.type === "columns") {
        this.pending.push(message);
        this.later("trials");
      } else if (message.type === "end") {
        this.finished = true;
      }
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.tell(false);
      this.retry = Math.min(10_000, 1.5 * (this.retry ?? 500));
      setTimeout(() => this.socket === socket && this.connect(), this.retry);
    };
    socket.onopen = () => {
      this.retry = 500;
      if (after < 0 && this.loaded) this.follow();
    };
  }

  // From now on, also the trials that change.
  follow() {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(String(this.revision));
  }

  tell(connected, reason = "") {
    if (connected !== this.connected || reason) this.emit("connection", { connected, reason });
    if (connected) this.heard = Date.now();
    this.connected = connected;
  }

  setInterval(seconds) {
    this.interval = seconds;
    if (seconds !== null) this.apply();
  }

  // Changes are shown at most so often as the person wants, and never more than twice a second.
  later(kind) {
    this.due ??= new Set();
    this.due.add(kind);
    if (this.timer || this.interval === null) return;
    const wait = Math.max(500, 1000 * this.interval) - (Date.now() - (this.applied ?? 0));
    this.timer = setTimeout(() => this.apply(), Math.max(0, wait));
  }

  apply() {
    clearTimeout(this.timer);
    this.timer = null;
    this.applied = Date.now();
    const due = this.due ?? new Set();
    this.due = new Set();
    if (due.has("summary")) this.emit("summary", this.summary);
    if (!due.has("trials")) return;
    const changed = new Map();
    const names = this.parameters.length + this.metrics.length;
    for (const message of this.pending.splice(0)) {
      for (const trial of this.take(message)) changed.set(trial.seq, trial);
    }
    this.emit("trials", {
      changed: [...changed.values()],
      names: names !== this.parameters.length + this.metrics.length,
    });
  }

  // Rows

  take(message) {
    this.revision = Math.max(this.revision, message.revision);
    const p = message.parameters.map((name) => place(this.parameters, name));
    const m = message.metrics.map((name) => place(this.metrics, name));
    const same = p.every((to, from) => to === from) && m.every((to, from) => to === from);
    return message.rows.map((row) => {
      const trial = this.trials.get(row[0]) ?? {};
      trial.seq = row[0];
      trial.id = row[1];
      trial.status = message.statuses[row[2]];
      trial.start = row[3];
      trial.end = row[4];
      trial.metric = row[5];
      trial.count = row[6];
      trial.service = row[7];
      trial.source = row[8];
      trial.message = row[9];
      trial.p = same ? row[10] : spread(row[10], p);
      trial.note = row[12] ?? "";
      trial.tags = row[13] ?? [];
      trial.m = same ? row[11] : spread(row[11], m);
      this.trials.set(trial.seq, trial);
      return trial;
    });
  }

  // The number a trial is drawn by: its default metric, or another key of its result.
  value(trial, key = "default") {
    const value = key === "default" ? trial.metric : trial.m[this.metrics.indexOf(key)];
    return typeof value === "number" ? value : null;
  }

  duration(trial) {
    if (!trial.start) return null;
    const end = trial.end ?? (trial.status === "RUNNING" ? Date.now() : null);
    return end === null ? null : Math.max(0, end - trial.start);
  }
}

function place(names, name) {
  const found = names.indexOf(name);
  return found >= 0 ? found : names.push(name) - 1;
}

function spread(values, places) {
  const row = [];
  values.forEach((value, from) => (row[places[from]] = value));
  return row;
}

export const board = new Board();
