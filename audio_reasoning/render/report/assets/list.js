"use strict";
// The list of questions found: DataTables draws, sorts and pages it.

window.report.list = (() => {
  const { store, filters, dom: { element, mark } } = window.report;
  const PAGE = 12;
  let table;

  function build(chosen) {
    const run = (name) => filters.runs()[name];
    const marks = (name) => ({
      data: null,
      title: name.toUpperCase(),
      className: "mark-cell",
      type: "num",
      orderSequence: ["asc", "desc", ""],
      render: (index, kind) => (kind === "display" ? mark(run(name), index) : store.share(run(name), index)),
    });
    table = new window.DataTable("#questions", {
      data: [],
      autoWidth: false,
      deferRender: true,
      searching: false,
      pageLength: PAGE,
      order: [],
      layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null, bottom: { paging: { buttons: 5, firstLast: false } } },
      language: { emptyTable: "No question passes these filters." },
      columns: [
        {
          data: null,
          title: "Question",
          type: "num",
          orderable: false,
          render: (index, kind) => (kind === "display" ? summary(store.questions[index]) : index),
        },
        marks("a"),
        marks("b"),
      ],
    });
    table.on("click", "tbody tr", (event) => {
      const index = table.row(event.currentTarget).data();
      if (index !== undefined) chosen(store.questions[index].id);
    });
  }

  function summary(question) {
    return element("button", { type: "button", class: "pick", "data-id": question.id },
      element("span", { class: "asked" }, question.question || question.id),
      element("span", { class: "kind" }, `${question.sub_category} · ${question.modality}`));
  }

  function show(indexes) {
    table.clear().rows.add(indexes).draw();
    document.getElementById("found").textContent =
      indexes.length === 1 ? "1 question" : `${indexes.length.toLocaleString("en")} questions`;
  }

  /** Ids in the order in which they are listed. */
  const ids = () => table.rows({ order: "applied" }).data().toArray().map((index) => store.questions[index].id);

  /** Turn to the page of a question, and mark it. */
  function select(id) {
    const place = ids().indexOf(id);
    if (place >= 0 && table.page() !== Math.floor(place / PAGE)) table.page(Math.floor(place / PAGE)).draw("page");
    for (const button of document.querySelectorAll("#questions .pick")) {
      button.closest("tr").classList.toggle("chosen", button.dataset.id === id);
      if (button.dataset.id === id) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  return { build, show, ids, select, onDraw: (listener) => table.on("draw", listener) };
})();
