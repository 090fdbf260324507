"use strict";
// One question: its clip, its choices, and what two runs made of it.

window.report.detail = (() => {
  const { store, traces, filters, dom: { element, mark, sampleMark, STATUS } } = window.report;
  const AUDIO = "../data/audio/";
  const HEARD = {
    silence: "This run heard silence in place of the clip.",
    mismatched: "This run heard another question’s clip in place of this one.",
    text_only: "This run heard nothing: the question was asked in text alone.",
    permuted: "Each sample was asked with the choices in another order: letters in its text are of that order.",
  };

  function show(id, actions) {
    const pane = document.getElementById("detail");
    const index = store.indexOf(id);
    if (index < 0) {
      pane.replaceChildren(element("p", { class: "absent" }, "Choose a question from the list."));
      return;
    }
    const question = store.questions[index];
    const { a, b } = filters.runs();
    const sides = a === b ? [["a", a]] : [["a", a], ["b", b]];
    pane.replaceChildren(
      element("div", { class: "steps" }, actions),
      element("p", { class: "path" },
        element("code", {}, question.id),
        ` ${question.category} › ${question.sub_category} · ${question.modality}`,
        question.language ? ` · ${question.language}` : ""),
      element("h2", {}, question.question || "(no text)"),
      player(question),
      choices(question, index, sides),
      element("div", { class: "sides" }, sides.map(([name, run]) => side(name, run, index))));
  }

  function player(question) {
    const { path, duration_s: seconds } = question.audio;
    const source = AUDIO + path.split("/").map(encodeURIComponent).join("/");
    const notice = element("p", { class: "absent", role: "status", hidden: true },
      `The clip ${AUDIO}${path} cannot be played: it is not there, or not a sound file. `,
      "It is looked for beside the folder of this page; `dvc checkout data/audio` brings it back.");
    const audio = element("audio", { controls: true, preload: "none", src: source, "aria-label": `The clip, ${seconds.toFixed(1)} seconds` });
    audio.addEventListener("error", () => { notice.hidden = false; });
    return element("div", { class: "clip" }, audio, element("span", { class: "seconds" }, `${seconds.toFixed(1)} s`), notice);
  }

  function choices(question, index, sides) {
    return element("ol", { class: "choices", "aria-label": "Choices" }, question.choices.map((choice, place) => {
      const right = place === question.answer;
      const chosen = sides.map(([name, run]) => {
        let count = 0;
        for (let sample = 0; sample < run.samples; sample++) count += store.choice(run, index, sample) === place;
        if (!count) return undefined;
        const told = `run ${name.toUpperCase()}${run.samples > 1 ? ` ${count}/${run.samples}` : ""}`;
        return element("span", { class: `by ${right ? "right" : "wrong"}`, title: `chosen by ${run.name}` }, told);
      });
      return element("li", { class: right ? "right" : "" },
        element("span", { class: "text" }, choice),
        right && element("span", { class: "truth" }, "right answer") || undefined,
        chosen);
    }));
  }

  function side(name, run, index) {
    const pane = element("section", { class: "side", "aria-label": `Run ${name.toUpperCase()}` });
    const draw = () => fill(pane, name, run, index);
    draw();
    if (!traces.get(run, index, 0)) traces.load(run).then(draw, draw);
    return pane;
  }

  function fill(pane, name, run, index) {
    const key = `s${name}`;
    const sample = Math.min(run.samples - 1, Math.max(0, Number(filters.state[key]) || 0));
    const trace = traces.get(run, index, sample);
    const turn = (to) => {
      filters.state[key] = to ? String(to) : "";
      window.report.changed("sample");
      fill(pane, name, run, index);
      pane.querySelector(`[data-sample="${to}"]`)?.focus();
    };
    pane.replaceChildren(
      element("h3", {}, element("span", { class: "letter" }, name.toUpperCase()), " ", run.name, " ", mark(run, index)),
      HEARD[run.condition] ? element("p", { class: "heard" }, HEARD[run.condition]) : "",
      run.samples > 1 ? samples(run, index, sample, turn) : "",
      facts(run, index, sample, trace),
      ...(trace ? written(trace) : [unwritten(run)]),
      origin(run));
  }

  function unwritten(run) {
    const failure = traces.failure(run);
    return failure ? element("p", { class: "absent" }, failure) : element("p", { class: "waiting" }, "Loading traces …");
  }

  function samples(run, index, chosen, turn) {
    return element("div", { class: "samples", role: "group", "aria-label": `Samples of ${run.name}` },
      Array.from({ length: run.samples }, (_, sample) => element("button", {
        type: "button", "data-sample": sample, "aria-pressed": String(sample === chosen), onclick: () => turn(sample),
      }, `${sample + 1} `, sampleMark(run, index, sample))));
  }

  function facts(run, index, sample, trace) {
    const status = store.status(run, index, sample);
    const choice = store.choice(run, index, sample);
    const thought = trace ? Array.from(trace.thinking).length.toLocaleString("en") : "…";
    const rows = [
      ["status", STATUS[status]?.word ?? "answered"],
      ["chose", choice >= 0 ? store.questions[index].choices[choice] : "nothing"],
      ["found by rule", trace?.rule || (trace ? "none" : "…")],
      ["finish", trace?.finish || (trace ? "not told" : "…")],
      ["tokens in, out", trace ? `${trace.promptTokens.toLocaleString("en")}, ${trace.completionTokens.toLocaleString("en")}` : "…"],
      ["thinking", `${thought} characters`],
    ];
    return element("dl", { class: "facts" }, rows.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value))));
  }

  function written(trace) {
    const block = (title, text, none) => [
      element("h4", {}, title),
      text ? element("div", { class: "trace" }, text) : element("p", { class: "nothing" }, none),
    ];
    return [
      ...(trace.error ? block("Error", trace.error, "") : []),
      ...block("Thinking", trace.thinking, "No thinking."),
      ...block("Answer", trace.answer, "Nothing after the thinking."),
    ];
  }

  /** What made the run's answers, from its manifest. */
  function origin(run) {
    const { prompt, model, decoding } = run.manifest;
    const told = (object) => Object.entries(object ?? {})
      .filter(([, value]) => value !== null && value !== "" && typeof value !== "object")
      .map(([key, value]) => `${key} ${value}`).join(", ") || "not recorded";
    const version = prompt.version === undefined ? "" : ` v${prompt.version}`;
    const rows = [
      ["prompt", [`${prompt.name}${version} · `, element("code", { title: prompt.text_hash }, prompt.text_hash.slice(0, 12))]],
      ["model", [told(model)]],
      ["decoding", [told(decoding)]],
    ];
    return element("details", { class: "origin" },
      element("summary", {}, `Prompt ${prompt.name}${version}, model, decoding`),
      element("dl", {}, rows.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, ...value)))),
      element("details", {}, element("summary", {}, "All that is recorded"),
        element("pre", { class: "manifest" }, JSON.stringify(run.manifest, null, 2))));
  }

  return { show };
})();
