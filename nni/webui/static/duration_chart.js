// How long each trial took.
import { board } from "./board.js";
import { axis, base, Chart, colors, described, tooltip, trialAxis, zoom } from "./chart.js";
import { duration } from "./format.js";

const LARGE = 1000;

export class DurationChart extends Chart {
  constructor(host, props) {
    super(host, "Trial duration");
    this.exports(() => [["trial", "id", "status", "seconds"], ...this.rows().map(([seq, seconds, trial]) => [seq, trial.id, trial.status, seconds])]);
    this.chart.on("click", (event) => props.open?.(board.trials.get(event.data?.[0])?.id));
  }

  rows() {
    const rows = [];
    for (const trial of board.trials.values()) {
      const took = board.duration(trial);
      if (took !== null) rows.push([trial.seq, took / 1000, trial]);
    }
    return rows.sort((a, b) => a[0] - b[0]);
  }

  update() {
    const rows = this.rows();
    if (!rows.length) {
      this.say(board.loaded ? "No trial has started yet." : "Loading …");
      return;
    }
    this.say();
    this.draw({
      ...base(),
      tooltip: tooltip((item) => {
        const trial = board.trials.get(item.value[0]);
        return trial && described(trial, board.parameters);
      }),
      xAxis: trialAxis({ splitLine: { show: false } }),
      yAxis: axis("Duration", { type: "value", axisLabel: { color: colors().muted, formatter: (value) => duration(1000 * value) } }),
      dataZoom: zoom(),
      series: [{ type: "bar", data: rows.map((row) => [row[0], row[1]]), large: rows.length > LARGE, itemStyle: { color: colors().accent }, barMaxWidth: 24, barMinWidth: 1 }],
    });
  }
}
