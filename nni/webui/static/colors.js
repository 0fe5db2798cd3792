// A colour between those of a scale.
export function mix(scale, share) {
  const at = Math.min(scale.length - 1.000001, Math.max(0, share * (scale.length - 1)));
  const [from, to] = [scale[Math.floor(at)], scale[Math.floor(at) + 1]];
  const part = (hex, place) => parseInt(hex.slice(1 + 2 * place, 3 + 2 * place), 16);
  const blend = [0, 1, 2].map((place) => Math.round(part(from, place) + (at % 1) * (part(to, place) - part(from, place))));
  return `rgb(${blend.join(",")})`;
}
