// The table of all trials: found, sorted, chosen, opened, compared. Up to some ten thousand trials it works in the page,
// beyond them the manager sorts and searches.
import * as AgGrid from "nicegui-aggrid";
import { board } from "nni-page/board.js";
import * as address from "nni-page/address.js";
import { Filters } from "nni-page/filters.js";
import { pager } from "nni-page/pager.js";
import { copy, csv, duration, el, icon, isFigure, number, python, save, statusElement, time } from "nni-page/format.js";

// Fetched when they are first wanted.
const compare = async (trials) => (await import("nni-page/compare.js")).compare(trials);
const tensorboard = async (trials) => (await import("nni-page/tensorboard.js")).tensorboard(trials);

const PANEL = 460; // height of an opened trial
const UNENDED = new Set(["WAITING", "RUNNING", "UNKNOWN"]);
const DEFAULT_PARAMETERS = 6;
const PAGE = 50;
const [FEW, HEAD, ROW] = [12, 40, 34]; // rows up to which the table is only as high as they are; heights

// Sorting is done in `sortRows`, once for all rows: the grid itself would read both values again for each comparison.
const same = () => 0;

// Numbers before texts before nothing, whichever way round: trials without the figure come last.
function rank(value) {
  return typeof value === "number" ? 0 : value === null || value === undefined || value === "" ? 2 : 1;
}

function compareBy(keys, sign) {
  return (a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    const [rx, ry] = [rank(x), rank(y)];
    if (rx !== ry) return rx - ry;
    if (rx === 2) return 0;
    return sign * (rx === 0 ? x - y : String(x).localeCompare(String(y)));
  };
}

function sortRows(api, nodes) {
  const sorted = api.getColumnState().filter((column) => column.sort).sort((a, b) => a.sortIndex - b.sortIndex);
  const orders = sorted.map(({ colId, sort }) => {
    const { valueGetter } = api.getColumnDef(colId);
    return compareBy(new Map(nodes.map((node) => [node, valueGetter(node)])), sort === "desc" ? -1 : 1);
  });
  nodes.sort((a, b) => {
    for (const order of orders) {
      const found = order(a, b);
      if (found) return found;
    }
    return a.data.seq - b.data.seq;
  });
}

export default {
  template: '<div class="trial-table"></div>',
  props: { experiment: String, readOnly: Boolean },
  emits: ["kill", "rerun", "customize"],
  mounted() {
    AgGrid.ModuleRegistry.registerModules([AgGrid.AllCommunityModule]);
    this.opened = new Map(); // sequence of an open trial -> its detail row
    this.filters = new Filters(() => this.filtered());
    this.count = el("span", { class: "hint", role: "status" });
    this.gridHost = el("div", { class: "grid-host" });
    this.pager = pager((size) => this.resize(size));
    this.below = el("div", { class: "below" });
    this.empty = el("p", { class: "empty", hidden: true });
    this.$el.append(this.toolbar(), this.filters.element, this.gridHost, this.pager.element, this.empty, this.below);
    this.offs = [board.on("trials", (change) => this.changed(change))];
    this.onOpen = (event) => this.reveal(event.detail);
    window.addEventListener("nni-open-trial", this.onOpen);
    this.theme = new MutationObserver(() => this.shade());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.shade();
    board.load().then(() => this.create());
  },
  unmounted() {
    this.offs?.forEach((off) => off());
    window.removeEventListener("nni-open-trial", this.onOpen);
    this.theme.disconnect();
    for (const row of this.opened.values()) row.panel?.close();
    this.api?.destroy();
  },
  methods: {
    toolbar() {
      this.compareButton = el("button", { type: "button", class: "button", disabled: true, onclick: () => this.compare() }, "Compare");
      const tensorboardButton = el("button", { type: "button", class: "button", title: "Show the selected trials in TensorBoard", onclick: () => tensorboard(this.selected().map((trial) => trial.id)) }, "TensorBoard");
      this.columnMenu = el("details", { class: "export columns" }, el("summary", { class: "button" }, "Columns"));
      this.columnMenu.addEventListener("toggle", () => this.columnMenu.open && this.fillColumns());
      document.addEventListener("click", (event) => !this.columnMenu.contains(event.target) && (this.columnMenu.open = false));
      return el(
        "div",
        { class: "card-head" },
        el("h2", {}, "Trials"),
        this.count,
        el("span", { class: "spring" }),
        this.compareButton,
        tensorboardButton,
        !this.readOnly && el("button", { type: "button", class: "button", onclick: () => this.$emit("customize", "") }, "Customized trial"),
        this.columnMenu,
        el("button", { type: "button", class: "button", onclick: () => this.export(), title: "The trials that are shown, as CSV" }, "CSV"),
      );
    },
    shade() {
      this.gridHost.setAttribute("data-ag-theme-mode", document.body.classList.contains("body--dark") ? "dark" : "light");
    },

    // Columns

    column(id, name, value, more = {}) {
      return { colId: id, headerName: name, valueGetter: (row) => (row.data && !row.data.detail ? value(row.data) : null), hide: !this.shown.has(id), ...more };
    },
    columns() {
      const defaults = ["seq", "id", "status", "metric", "duration", ...board.parameters.slice(0, DEFAULT_PARAMETERS).map((name) => `parameter:${name}`)];
      this.shown = new Set(address.remembered(`nni-columns-${this.experiment}`, null) ?? defaults);
      const figure = { type: "rightAligned", valueFormatter: (cell) => number(cell.value) };
      const plain = [
        { colId: "open", headerName: "", width: 44, pinned: this.narrow() ? null : "left", sortable: false, resizable: false, lockPosition: "left", cellClass: "tight", cellRenderer: (cell) => this.opener(cell) },
        this.column("seq", "No.", (trial) => trial.seq, { width: 80, ...figure }),
        this.column("id", "ID", (trial) => trial.id, { width: 84, cellClass: "mono" }),
        this.column("status", "Status", (trial) => trial.status, { width: 146, cellRenderer: (cell) => (cell.value ? this.status(cell) : "") }),
        this.column("metric", "Default metric", (trial) => trial.metric, { width: 150, ...figure, cellClass: ["strong", "ag-right-aligned-cell"] }),
        this.column("duration", "Duration", (trial) => board.duration(trial), { width: 95, ...figure, valueFormatter: (cell) => duration(cell.value) }),
        this.column("start", "Start time", (trial) => trial.start, { width: 165, ...figure, valueFormatter: (cell) => time(cell.value) }),
        this.column("end", "End time", (trial) => trial.end, { width: 165, ...figure, valueFormatter: (cell) => time(cell.value) }),
        this.column("intermediates", "Intermediate count", (trial) => trial.count, { width: 120, ...figure }),
        this.column("service", "Training service", (trial) => trial.service, { width: 130 }),
        this.column("source", "Source", (trial) => trial.source, { width: 110 }),
        this.column("message", "Message", (trial) => trial.message, { width: 260, tooltipValueGetter: (cell) => cell.value }),
        this.column("tags", "Tags", (trial) => trial.tags.join(", "), { width: 130, sortable: !this.paged }),
        this.column("note", "Note", (trial) => trial.note, { width: 220, sortable: !this.paged, tooltipValueGetter: (cell) => cell.value }),
      ];
      const parameters = board.parameters.map((name, place) => this.column(`parameter:${name}`, name, (trial) => trial.p[place], this.shape(name, place)));
      const metrics = board.metrics.map((name, place) => this.column(`metric:${name}`, `Metric ${name}`, (trial) => trial.m[place], { width: 130, ...figure, sortable: !this.paged }));
      const actions = { colId: "actions", headerName: "", width: this.readOnly ? 44 : 124, pinned: this.narrow() ? null : "right", sortable: false, resizable: false, cellClass: "tight", cellRenderer: (cell) => this.actions(cell) };
      return [...plain, ...parameters, ...metrics, actions];
    },
    // Numbers stand at the right, one below the other; a column is as wide as its name needs.
    shape(name, place) {
      const values = [...board.trials.values()].slice(0, 200).map((trial) => trial.p[place]).filter((value) => value !== undefined && value !== null);
      const numeric = values.length > 0 && values.every(isFigure);
      const width = Math.min(200, Math.max(numeric ? 100 : 90, 46 + 7.2 * name.length));
      return { width, ...(numeric ? { type: "rightAligned" } : {}), valueFormatter: (cell) => number(cell.value) };
    },
    narrow() {
      return window.innerWidth < 700;
    },
    fillColumns() {
      if (!this.api) return; // it is filled as soon as there are columns
      const list = el("div", { class: "export-menu" });
      for (const column of this.api.getColumns()) {
        const { colId, headerName } = column.getColDef();
        if (!headerName) continue;
        const box = el("input", { type: "checkbox", onchange: (event) => this.showColumn(colId, event.target.checked) });
        box.checked = column.isVisible();
        list.append(el("label", { class: "menu-item check" }, box, ` ${headerName}`));
      }
      this.columnMenu.querySelector(".export-menu")?.remove();
      this.columnMenu.append(list);
    },
    showColumn(id, visible) {
      if (visible) this.shown.add(id);
      else this.shown.delete(id);
      address.remember(`nni-columns-${this.experiment}`, [...this.shown]);
      this.api.setColumnsVisible([id], visible);
    },
    status(cell) {
      const made = statusElement(cell.value);
      if (cell.data.message) made.title = cell.data.message;
      return made;
    },
    opener(cell) {
      if (!cell.data || cell.data.detail) return "";
      const open = this.opened.has(cell.data.seq);
      return el("button", { type: "button", class: "icon", "aria-expanded": String(open), "aria-label": `${open ? "Close" : "Open"} trial ${cell.data.seq}`, onclick: () => this.toggle(cell.data) }, icon(open ? "close" : "open"));
    },
    actions(cell) {
      const trial = cell.data;
      if (!trial || trial.detail) return "";
      const act = (symbol, label, run) => el("button", { type: "button", class: "icon", title: label, "aria-label": `${label}, trial ${trial.seq}`, onclick: run }, icon(symbol));
      return el(
        "span",
        { class: "row-actions" },
        act("copy", "Copy the parameters as Python", async (event) => copy(python((await board.json(`/trials/${trial.id}`)).parameters), event)),
        !this.readOnly && act("again", "Run again with the same parameters", () => this.$emit("rerun", trial.id)),
        !this.readOnly && act("edit", "Customized trial from this one", () => this.$emit("customize", trial.id)),
        !this.readOnly && UNENDED.has(trial.status) && act("kill", "Kill", () => this.$emit("kill", trial.id)),
      );
    },

    // The grid

    create() {
      this.paged = board.sampled;
      const sort = address.get("sort", this.paged ? "-seq" : "-seq");
      const columns = this.columns();
      const sorted = columns.find((column) => column.colId === sort.replace(/^-/, ""));
      if (sorted) sorted.sort = sort.startsWith("-") ? "desc" : "asc";
      const options = {
        theme: AgGrid.themeQuartz.withPart(AgGrid.colorSchemeVariable).withParams({ fontFamily: "inherit", fontSize: 13, rowHeight: 34, headerHeight: 36, wrapperBorderRadius: 6, spacing: 6 }),
        columnDefs: columns,
        defaultColDef: { sortable: true, comparator: same, resizable: true, suppressHeaderMenuButton: true, tooltipValueGetter: null },
        getRowId: (row) => (row.data.detail ? `detail-${row.data.seq}` : String(row.data.seq)),
        rowSelection: { mode: "multiRow", checkboxes: (row) => !row.data?.detail, headerCheckbox: !this.paged, selectAll: "filtered", enableClickSelection: false, isRowSelectable: (row) => !row.data?.detail },
        selectionColumnDef: { width: 44, pinned: this.narrow() ? null : "left", resizable: false },
        animateRows: false,
        rowBuffer: 4,
        suppressMovableColumns: false,
        ensureDomOrder: true,
        pagination: true,
        paginationPageSize: address.remembered("nni-page-size", PAGE),
        suppressPaginationPanel: true, // its numbers would count opened trials as further ones
        asyncTransactionWaitMillis: 100,
        suppressNoRowsOverlay: true,
        onSelectionChanged: () => this.selectionChanged(),
        onSortChanged: () => this.sorted(),
        onPaginationChanged: () => this.paginated(),
        onCellKeyDown: (cell) => cell.event.key === "Enter" && cell.event.target.tagName !== "BUTTON" && cell.data && !cell.data.detail && this.toggle(cell.data),
        onCellDoubleClicked: (cell) => cell.data && !cell.data.detail && this.toggle(cell.data),
        onModelUpdated: () => this.counted(),
      };
      if (this.paged) Object.assign(options, this.pagedOptions());
      else Object.assign(options, this.clientOptions());
      this.api = AgGrid.createGrid(this.gridHost, options);
      if (this.columnMenu.open) this.fillColumns();
      this.counted();
      const wanted = address.get("trial");
      if (wanted) this.reveal(wanted);
      if (address.get("compare")) compare(address.getAll("compare").map(Number));
      performance.mark("nni-interactive");
    },
    clientOptions() {
      return {
        rowData: [...board.trials.values()],
        isFullWidthRow: (row) => Boolean(row.rowNode.data?.detail),
        getRowHeight: (row) => (row.data?.detail ? PANEL : null),
        fullWidthCellRenderer: (row) => row.data.panel.element,
        isExternalFilterPresent: () => this.filters.active,
        doesExternalFilterPass: (node) => this.filters.passes(node.data.detail ? board.trials.get(node.data.seq) : node.data),
        postSortRows: (rows) => this.placeDetails(rows.api, rows.nodes),
      };
    },
    pagedOptions() {
      return {
        rowModelType: "infinite",
        cacheBlockSize: 100,
        maxBlocksInCache: 20,
        datasource: {
          getRows: async (wanted) => {
            const [sort] = wanted.sortModel;
            const query = this.filters.query();
            query.set("offset", wanted.startRow);
            query.set("limit", wanted.endRow - wanted.startRow);
            const order = { seq: "sequence" }[sort?.colId] ?? sort?.colId ?? "sequence";
            query.set("order", order);
            query.set("descending", sort ? sort.sort === "desc" : true);
            try {
              const page = await board.json(`/columns/search?${query}`);
              this.found = page.total;
              wanted.successCallback(board.take({ ...page, revision: 0 }), page.total);
              this.counted();
            } catch {
              wanted.failCallback();
            }
          },
        },
      };
    },
    // An opened trial stands right below its row, whatever the order.
    placeDetails(api, nodes) {
      if (!this.opened.size) {
        sortRows(api, nodes);
        return;
      }
      const details = new Map(nodes.filter((node) => node.data.detail).map((node) => [node.data.seq, node]));
      const rows = nodes.filter((node) => !node.data.detail);
      sortRows(api, rows);
      nodes.length = 0;
      for (const node of rows) {
        nodes.push(node);
        const detail = details.get(node.data.seq);
        if (detail) nodes.push(detail);
      }
    },
    changed(change) {
      if (!this.api || change.all) return;
      if (change.names) this.api.setGridOption("columnDefs", this.columns());
      if (this.paged) {
        clearTimeout(this.refreshing);
        this.refreshing = setTimeout(() => this.api.refreshInfiniteCache(), 3000);
        return;
      }
      const [add, update] = [[], []];
      for (const trial of change.changed) (this.api.getRowNode(String(trial.seq)) ? update : add).push(trial);
      this.api.applyTransactionAsync({ add, update });
      for (const trial of change.changed) this.opened.get(trial.seq)?.panel.update(trial);
    },
    filtered() {
      if (!this.api) return;
      if (this.paged) this.api.purgeInfiniteCache();
      else this.api.onFilterChanged(); // tells of its new model, which is counted
    },
    sorted() {
      const [sort] = this.api.getColumnState().filter((column) => column.sort);
      address.set({ sort: sort && !(sort.colId === "seq" && sort.sort === "desc") ? `${sort.sort === "desc" ? "-" : ""}${sort.colId}` : "" });
    },
    counted() {
      if (!this.api) return;
      const total = this.paged ? board.total : board.trials.size;
      const shown = !this.filters.active ? total : this.paged ? (this.found ?? total) : this.matching();
      const none = total === 0;
      this.empty.hidden = shown > 0;
      this.gridHost.hidden = none;
      this.empty.textContent = none ? "No trial yet. The first one appears as soon as the tuner has suggested its parameters." : "No trial fits this search. Take a condition away, or choose other statuses.";
      this.fit(shown);
      this.count.textContent = none ? "" : this.filters.active ? `${shown} of ${total}` : `${total}`;
    },
    // A few trials need no tall table.
    fit(shown) {
      const few = shown > 0 && shown < FEW && !this.opened.size;
      this.gridHost.style.height = few ? `${HEAD + ROW * shown}px` : shown ? "" : `${HEAD + ROW}px`;
      this.gridHost.style.minHeight = few || !shown ? "0" : "";
      this.paginated();
    },
    paginated() {
      if (!this.api || this.api.isDestroyed()) return;
      const size = this.api.paginationGetPageSize();
      const page = this.api.paginationGetCurrentPage();
      const [from, to] = [page * size, Math.min((page + 1) * size, this.api.paginationGetRowCount())];
      const opened = [...this.opened.keys()].map((seq) => this.api.getRowNode(`detail-${seq}`)?.rowIndex).filter((place) => place != null);
      const trials = (place) => place - opened.filter((other) => other < place).length;
      this.pager.show({ first: trials(from) + 1, last: trials(to), total: trials(this.api.paginationGetRowCount()), page, pages: this.api.paginationGetTotalPages(), size, go: (wanted) => this.api.paginationGoToPage(wanted) });
    },
    resize(size) {
      address.remember("nni-page-size", size);
      this.api.setGridOption("paginationPageSize", size);
    },
    matching() {
      let matching = 0;
      for (const trial of board.trials.values()) if (this.filters.passes(trial)) matching++;
      return matching;
    },
    selected() {
      return (this.api?.getSelectedRows() ?? []).filter((trial) => !trial.detail);
    },
    selectionChanged() {
      const number_ = this.selected().length;
      this.compareButton.disabled = number_ < 2;
      this.compareButton.textContent = number_ > 1 ? `Compare ${number_}` : "Compare";
    },
    compare() {
      compare(this.selected().map((trial) => trial.seq));
    },
    export() {
      const columns = this.api.getAllDisplayedColumns().map((column) => column.getColDef()).filter((column) => column.headerName);
      const rows = [];
      const row = (data) => rows.push(columns.map((column) => column.valueGetter({ data })));
      if (this.paged) [...board.trials.values()].filter((trial) => this.filters.passes(trial)).forEach(row);
      else this.api.forEachNodeAfterFilterAndSort((node) => !node.data.detail && row(node.data));
      save(csv([columns.map((column) => column.headerName), ...rows]), "trials.csv", "text/csv");
    },

    // Opened trials

    async toggle(trial) {
      const row = this.opened.get(trial.seq);
      if (row) {
        row.panel.close();
        this.opened.delete(trial.seq);
        if (this.paged) this.below.replaceChildren();
        else this.api.applyTransaction({ remove: [row] });
      } else {
        const { trialPanel } = await import("nni-page/trial_panel.js");
        if (this.opened.has(trial.seq)) return;
        const panel = trialPanel(trial, { readOnly: this.readOnly, act: (what, id) => (what === "tensorboard" ? tensorboard(id) : this.$emit(what, id)), close: () => this.toggle(trial) });
        const detail = { detail: true, seq: trial.seq, panel };
        if (this.paged) {
          for (const other of this.opened.values()) other.panel.close();
          this.opened.clear();
          this.below.replaceChildren(panel.element);
        } else {
          this.api.applyTransaction({ add: [detail] });
        }
        this.opened.set(trial.seq, detail);
        if (!this.paged) this.api.refreshClientSideRowModel("sort");
        this.fit(this.paged ? (this.found ?? board.total) : this.matching());
        requestAnimationFrame(() => panel.element.scrollIntoView({ block: "nearest" }));
      }
      this.counted();
      address.set({ trial: [...this.opened.keys()].map((seq) => board.trials.get(seq)?.id).at(-1) ?? "" });
      const node = this.api.getRowNode(String(trial.seq));
      if (node) this.api.refreshCells({ rowNodes: [node], columns: ["open"], force: true });
    },
    async reveal(id) {
      const trial = [...board.trials.values()].find((item) => item.id === id);
      if (!trial || !this.api) return;
      if (!this.opened.has(trial.seq)) await this.toggle(trial);
      const node = this.paged ? null : this.api.getRowNode(String(trial.seq));
      if (node && node.rowIndex !== null) {
        this.api.paginationGoToPage(Math.floor(node.rowIndex / this.api.paginationGetPageSize()));
        // Again, until the grid knows how high the rows of that page are, and has drawn what was opened.
        const drawn = () => this.opened.get(trial.seq)?.panel?.element.isConnected ?? true;
        for (let tries = 0; tries < 20 && !this.api.isDestroyed() && !(tries > 1 && drawn()); tries++) {
          this.api.ensureNodeVisible(node, "top");
          await new Promise((later) => setTimeout(later, 150));
        }
      }
      this.$el.scrollIntoView({ block: "start" });
    },
  },
};

