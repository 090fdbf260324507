"use strict";
// Which runs are compared and which questions are shown; the state that a link restores.

window.report.filters = (() => {
  const { store, traces, dom: { element, STATUS } } = window.report;
  const FLIPS = [
    ["", "All", "Every question"],
    ["won", "Won", "Right in B, not in A (several samples: more often right in B)"],
    ["lost", "Lost", "Right in A, not in B (several samples: more often right in A)"],
    ["both", "Both right", "Right in both (several samples: equally often)"],
    ["neither", "Neither", "Right in none"],
  ];
  const FIELDS = { category: "Category", sub_category: "Sub-category", modality: "Modality" };
  const KEYS = ["q", "a", "b", "flip", "category", "sub_category", "modality", "status", "text", "sa", "sb"];
  const state = Object.fromEntries(KEYS.map((key) => [key, ""]));
  const controls = {};

  /** Take the state from a link's parameters; the names in it that this report does not hold are returned. */
  function read(params) {
    const unknown = [];
    for (const key of KEYS) state[key] = params.get(key) ?? "";
    for (const key of ["a", "b"]) {
      if (state[key] && !store.run(state[key])) unknown.push(`the run ${state[key]}`);
      if (!store.run(state[key])) state[key] = "";
    }
    if (state.q && store.indexOf(state.q) < 0) {
      unknown.push(`the question ${state.q}`);
      state.q = "";
    }
    const names = store.runs.map((run) => run.name);
    state.a ||= names.find((name) => name !== state.b) ?? names[0];
    state.b ||= names.find((name) => name !== state.a) ?? names[0];
    for (const [key, control] of Object.entries(controls)) {
      control.value = state[key];
      if (control.value !== state[key]) { // a select without that option
        unknown.push(`“${state[key]}” (${key.replace("_", "-")})`);
        state[key] = control.value = "";
      }
    }
    if (!FLIPS.some(([value]) => value === state.flip)) state.flip = "";
    return unknown;
  }

  /** The state as a link's parameters, without what is empty. */
  function write() {
    const params = new URLSearchParams();
    for (const key of KEYS) if (state[key]) params.set(key, state[key]);
    return params.toString();
  }

  const runs = () => ({ a: store.run(state.a), b: store.run(state.b) });

  /** Indexes of the questions that pass every filter, and how many there are of each flip without that filter. */
  function apply() {
    const { a, b } = runs();
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const counts = { "": 0, won: 0, lost: 0, both: 0, neither: 0 };
    const found = [];
    store.questions.forEach((question, index) => {
      if (Object.keys(FIELDS).some((field) => state[field] && question[field] !== state[field])) return;
      if (state.status && ![a, b].some((run) => store.hasStatus(run, index, state.status))) return;
      if (!words.every((word) => matches(question, index, a, b, word))) return;
      const flip = store.flip(a, b, index);
      counts[""] += 1;
      counts[flip] += 1;
      if (!state.flip || state.flip === flip) found.push(index);
    });
    showCounts(counts);
    return found;
  }

  const questionTexts = new Map();

  function matches(question, index, a, b, word) {
    if (!questionTexts.has(index)) {
      questionTexts.set(index, [question.id, question.question, ...question.choices].join("\n").toLowerCase());
    }
    return [questionTexts.get(index), traces.text(a, index), traces.text(b, index)].some((text) => text.includes(word));
  }

  function showCounts(counts) {
    for (const button of document.querySelectorAll("#filters [data-flip]")) {
      button.setAttribute("aria-pressed", String(button.dataset.flip === state.flip));
      button.querySelector("output").value = counts[button.dataset.flip].toLocaleString("en");
    }
  }

  /** Build the form; `changed` is called after every change. */
  function build(changed) {
    const set = (key) => (event) => {
      state[key] = event.target.value;
      if (key === "a" || key === "b") state[`s${key}`] = "";
      changed(key);
    };
    const select = (key, label, options) => {
      controls[key] = element("select", { id: `filter-${key}`, onchange: set(key) },
        options.map(([value, text]) => element("option", { value }, text)));
      return element("div", { class: `field ${key}` }, element("label", { for: `filter-${key}` }, label), controls[key]);
    };
    const names = store.runs.map((run) => [run.name, run.name]);
    const values = (field) => [["", "any"], ...[...new Set(store.questions.map((q) => q[field]))].sort().map((v) => [v, v])];
    const statuses = [["", "any"], ["ok", "answered"], ...Object.entries(STATUS).map(([value, { word }]) => [value, word])];
    controls.text = element("input", { id: "filter-text", type: "search", placeholder: "question, choices, traces of A and B", oninput: set("text") });
    const swap = () => {
      [state.a, state.b, state.sa, state.sb] = [state.b, state.a, state.sb, state.sa];
      [controls.a.value, controls.b.value] = [state.a, state.b];
      changed("a");
    };
    document.getElementById("filters").append(
      element("div", { class: "row" },
        select("a", "Run A", names),
        element("button", { type: "button", class: "swap", title: "Swap A and B", "aria-label": "Swap runs A and B", onclick: swap }, "⇄"),
        select("b", "Run B", names),
        element("div", { class: "flips", role: "group", "aria-label": "From A to B" },
          FLIPS.map(([value, label, title]) => element("button", {
            type: "button", "data-flip": value, title, "aria-pressed": "false",
            onclick: () => { state.flip = value; changed("flip"); },
          }, label, element("output"))))),
      element("div", { class: "row" },
        Object.entries(FIELDS).map(([field, label]) => select(field, label, values(field))),
        select("status", "Status in A or B", statuses),
        element("div", { class: "field text" }, element("label", { for: "filter-text" }, "Search"), controls.text),
        element("button", { type: "button", class: "plain", onclick: () => { clear(); changed("clear"); } }, "Clear filters")));
    document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  function clear() {
    for (const key of ["flip", ...Object.keys(FIELDS), "status", "text"]) {
      state[key] = "";
      if (controls[key]) controls[key].value = "";
    }
  }

  return { state, build, read, write, apply, runs };
})();
