// The graph of a trial's model.onnx, drawn from what the manager reads out of the file.
import { board } from "./board.js";
import { el } from "./format.js";

const [WIDTH, HEIGHT, GAP_X, GAP_Y] = [150, 34, 24, 30];
const SVG = "http://www.w3.org/2000/svg";

export function modelGraph(body, trial) {
  const place = el("div", { class: "model" }, "Loading …");
  body.append(el("div", { class: "row" }, el("a", { class: "button small", href: board.url(`/trial-file/${trial.id}/model.onnx`), download: "model.onnx" }, "Download model.onnx")), place);
  board.json(`/trials/${trial.id}/model`).then(
    (graph) => place.replaceChildren(draw(graph)),
    (error) => (place.textContent = error.message),
  );
}

function draw(graph) {
  const layers = layered(graph);
  const widest = Math.max(...layers.map((layer) => layer.length));
  const [width, height] = [widest * (WIDTH + GAP_X) + GAP_X, layers.length * (HEIGHT + GAP_Y) + GAP_Y];
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Graph of the model" });
  const at = new Map();
  layers.forEach((layer, y) => {
    const offset = (width - layer.length * (WIDTH + GAP_X) + GAP_X) / 2;
    layer.forEach((item, x) => at.set(item.id, [offset + x * (WIDTH + GAP_X), GAP_Y + y * (HEIGHT + GAP_Y)]));
  });
  for (const [from, to] of graph.edges) {
    const [a, b] = [at.get(from), at.get(to)];
    if (!a || !b) continue;
    const [x1, y1, x2, y2] = [a[0] + WIDTH / 2, a[1] + HEIGHT, b[0] + WIDTH / 2, b[1]];
    svg.append(node("path", { d: `M${x1} ${y1}C${x1} ${y1 + GAP_Y} ${x2} ${y2 - GAP_Y} ${x2} ${y2}`, class: "model-edge" }));
  }
  for (const item of graph.nodes) {
    const [x, y] = at.get(item.id);
    const group = node("g", { class: `model-node model-${item.kind}` });
    const title = node("title", {});
    title.textContent = [item.name, item.detail].filter(Boolean).join("\n");
    const label = node("text", { x: x + WIDTH / 2, y: y + HEIGHT / 2 + 4, "text-anchor": "middle" });
    label.textContent = item.label.length > 20 ? `${item.label.slice(0, 19)}…` : item.label;
    group.append(node("rect", { x, y, width: WIDTH, height: HEIGHT, rx: 6 }), label, title);
    svg.append(group);
  }
  return svg;
}

// Each node one layer below the lowest of its inputs.
function layered(graph) {
  const inputs = new Map(graph.nodes.map((item) => [item.id, []]));
  for (const [from, to] of graph.edges) inputs.get(to)?.push(from);
  const depth = new Map();
  for (const item of graph.nodes) depth.set(item.id, Math.max(-1, ...inputs.get(item.id).map((id) => depth.get(id) ?? -1)) + 1);
  const layers = [];
  for (const item of graph.nodes) (layers[depth.get(item.id)] ??= []).push(item);
  return layers.filter(Boolean);
}

function node(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
