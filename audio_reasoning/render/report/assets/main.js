"use strict";
// Views, links and keys: ties the state to the list and to the question shown.

(() => {
  const { store, traces, filters, list, detail, dom: { element } } = window.report;
  const notice = document.getElementById("notice");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const views = { overview: document.getElementById("overview"), browser: document.getElementById("browser") };

  let linked = false; // whether the question shown is the one that a link named

  const steps = element("span", { class: "place" });
  const actions = [
    element("button", { type: "button", id: "previous", title: "Previous question (k)", onclick: () => step(-1) }, "← Previous"),
    element("button", { type: "button", id: "next", title: "Next question (j)", onclick: () => step(1) }, "Next →"),
    steps,
    element("button", { type: "button", id: "copy", onclick: copyLink }, "Copy link"),
  ];

  function setView(name) {
    for (const [view, node] of Object.entries(views)) node.hidden = view !== name;
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /** Show what the link says. Links to the overview have no `=`: they name one of its parts. */
  function restore() {
    const hash = window.location.hash.slice(1);
    const browsing = hash === "questions" || hash.includes("=");
    const before = views.browser.hidden;
    setView(browsing ? "browser" : "overview");
    if (!browsing) {
      if (!before) document.getElementById(hash)?.scrollIntoView();
      return;
    }
    if (!store.runs.length) return tell("No run has answers yet: `dvc repro` makes them.");
    const unknown = filters.read(new URLSearchParams(hash));
    tell(unknown.length ? `The link names ${unknown.join(" and ")}, which this report does not hold.` : "");
    if (before) window.scrollTo(0, 0);
    linked = filters.state.q !== "";
    refresh(filters.state.text !== "");
    loadTraces();
  }

  function tell(text) {
    notice.textContent = text;
    notice.hidden = !text;
  }

  function remember() {
    window.history.replaceState(null, "", `#${filters.write()}`);
  }

  /**
   * Apply the filters, and show the question chosen, or the first found if that is not among them. The question of a
   * link stays while a search still waits for traces, and is told of if the link's own filters leave it out.
   */
  function refresh(searching = false) {
    list.show(filters.apply());
    const ids = list.ids();
    const { q } = filters.state;
    if (ids.includes(q) || (linked && searching)) return choose(q);
    if (linked) tell(`${notice.textContent} The question ${q} does not pass this link’s filters.`.trim());
    choose(ids[0] ?? "");
  }

  function choose(id) {
    if (id !== filters.state.q) {
      filters.state.sa = filters.state.sb = "";
      linked = false;
    }
    filters.state.q = id;
    list.select(id);
    const ids = list.ids();
    const place = ids.indexOf(id);
    steps.textContent = place < 0 ? "" : `${(place + 1).toLocaleString("en")} of ${ids.length.toLocaleString("en")}`;
    actions[0].disabled = place <= 0;
    actions[1].disabled = place < 0 || place >= ids.length - 1;
    detail.show(id, actions);
    remember();
  }

  function step(by) {
    const ids = list.ids();
    const next = ids[ids.indexOf(filters.state.q) + by];
    if (next) choose(next);
  }

  /** Traces are searched as well, so load those of both runs; a search that stands is done again with them. */
  function loadTraces() {
    const { a, b } = filters.runs();
    Promise.allSettled([traces.load(a), traces.load(b)]).then(() => { // of what failed, the question's pane tells
      const now = filters.runs();
      if (filters.state.text && now.a === a && now.b === b) refresh();
    });
  }

  function changed(key) {
    tell("");
    if (key === "sample") return remember();
    linked = false;
    refresh();
    if (key === "a" || key === "b") loadTraces();
  }

  async function copyLink(event) {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy link"; }, 1500);
    } catch {
      tell(`Copy this link: ${window.location.href}`);
    }
  }

  function onKey(event) {
    const typing = event.target.closest("input, select, textarea, audio");
    if (views.browser.hidden || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const actionOf = {
      j: () => step(1),
      k: () => step(-1),
      "/": () => document.getElementById("filter-text").focus(),
      p: () => { const audio = document.querySelector("#detail audio"); if (audio?.paused) audio.play().catch(() => {}); else audio?.pause(); },
    };
    if (event.key in actionOf) {
      event.preventDefault();
      actionOf[event.key]();
    }
  }

  window.report.changed = changed;
  const darken = () => document.documentElement.classList.toggle("dark", dark.matches); // DataTables' own switch
  darken();
  dark.addEventListener("change", darken);
  if (store.runs.length) {
    filters.build(changed);
    list.build(choose);
    list.onDraw(() => list.select(filters.state.q));
  }
  window.addEventListener("hashchange", restore);
  document.addEventListener("keydown", onKey);
  restore();
})();
