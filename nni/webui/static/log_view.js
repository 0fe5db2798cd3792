// One of several log files: searched, wrapped, followed, downloaded.
import { board } from "nni-page/board.js";
import { logView } from "nni-page/log.js";
import { el } from "nni-page/format.js";

export default {
  template: '<div class="log-frame"></div>',
  props: { files: Array, search: String },
  mounted() {
    if (!this.files.length) {
      this.$el.append(el("p", { class: "empty" }, "There is no log yet."));
      return;
    }
    const show = (file) => {
      this.view?.close();
      this.view = logView(board.url(`/logs/${file}`), file, this.search);
      this.$el.querySelector(".log")?.remove();
      this.$el.append(this.view.element);
    };
    const tabs = el("div", { class: "chips", role: "tablist", "aria-label": "Log files" });
    for (const file of this.files) {
      tabs.append(
        el(
          "button",
          {
            class: "chip",
            type: "button",
            role: "tab",
            "aria-selected": file === this.files[0] ? "true" : "false",
            onclick: (event) => {
              for (const other of tabs.children) other.setAttribute("aria-selected", other === event.target);
              show(file);
            },
          },
          file,
        ),
      );
    }
    this.$el.append(tabs);
    show(this.files[0]);
  },
  unmounted() {
    this.view?.close();
  },
};
