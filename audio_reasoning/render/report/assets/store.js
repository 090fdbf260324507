"use strict";
// Questions, runs and traces, and what can be asked about them. Nothing here touches the page.

window.report = {};

window.report.store = (() => {
  const STATUS_OF_CODE = { "-1": "truncated", "-2": "no_answer", "-3": "error" };
  const store = { profile: "", questions: [], runs: [], absent: [] };
  const positions = new Map(); // of questions, by id

  store.fill = (data) => {
    Object.assign(store, data);
    store.questions.forEach((question, index) => positions.set(question.id, index));
  };

  store.indexOf = (id) => positions.get(id) ?? -1;

  store.run = (name) => store.runs.find((run) => run.name === name);

  /** The index of the choice that a sample chose, or -1. */
  store.choice = (run, index, sample) => Math.max(-1, run.answers[index * run.samples + sample]);

  store.status = (run, index, sample) => STATUS_OF_CODE[run.answers[index * run.samples + sample]] ?? "ok";

  store.isRight = (run, index, sample) => run.right[index * run.samples + sample] === "1";

  store.countRight = (run, index) => {
    let count = 0;
    for (let sample = 0; sample < run.samples; sample++) count += store.isRight(run, index, sample);
    return count;
  };

  store.share = (run, index) => store.countRight(run, index) / run.samples;

  store.hasStatus = (run, index, status) => {
    for (let sample = 0; sample < run.samples; sample++) {
      if (store.status(run, index, sample) === status) return true;
    }
    return false;
  };

  /** What became of a question from run a to run b: by the share of right samples where there are several. */
  store.flip = (a, b, index) => {
    const [before, after] = [store.share(a, index), store.share(b, index)];
    if (after > before) return "won";
    if (after < before) return "lost";
    return after > 0 ? "both" : "neither";
  };

  return store;
})();

window.report.traces = (() => {
  const FIELDS = ["thinking", "answer", "rule", "finish", "promptTokens", "completionTokens", "error"];
  const loading = new Map(); // run's name: a promise of its rows
  const arrived = new Map(); // run's name: what to call with them
  const loaded = new Map();
  const failed = new Map(); // run's name: why its traces are not here

  async function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  /** Called by a run's file of traces. */
  function add(name, packed) {
    unpack(packed).then(...arrived.get(name));
  }

  /** Load a run's traces, once. A page from a file may fetch nothing, but it may add a script. */
  function load(run) {
    if (!loading.has(run.name)) {
      const path = `report_files/traces/${encodeURIComponent(run.traces)}`;
      loading.set(run.name, new Promise((resolve, reject) => {
        arrived.set(run.name, [resolve, reject]);
        const script = document.createElement("script");
        script.src = path;
        script.onerror = () => reject(new Error(`${path} is missing: keep the folder report_files beside this page`));
        document.head.append(script);
      }).then((rows) => {
        loaded.set(run.name, { rows, texts: new Map() });
      }, (reason) => {
        failed.set(run.name, String(reason.message));
        throw reason;
      }));
    }
    return loading.get(run.name);
  }

  /** A sample's trace by name, or undefined while it is not loaded. */
  function get(run, index, sample) {
    const row = loaded.get(run.name)?.rows[index][sample];
    return row && Object.fromEntries(FIELDS.map((field, place) => [field, row[place]]));
  }

  const failure = (run) => failed.get(run.name);

  /** All that a run wrote on a question, in lower case; empty while it is not loaded. */
  function text(run, index) {
    const found = loaded.get(run.name);
    if (!found) return "";
    if (!found.texts.has(index)) {
      found.texts.set(index, found.rows[index].map((row) => `${row[0]}\n${row[1]}`).join("\n").toLowerCase());
    }
    return found.texts.get(index);
  }

  return { add, load, get, failure, text };
})();
