/** Colours for the pictures, read from the page's tokens as they are now: a canvas does not know light-dark(). */

export function paint(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
/** The same colour, as see-through as said. */
export function faint(colour: string, share: number): string {
  const parts = colour.match(/[\d.]+/g) ?? ["0", "0", "0"];
  return `rgba(${parts.slice(0, 3).join(", ")}, ${share})`;
}
