"""What is asked of a page in a browser, in JavaScript. Each expression returns a list of what is wrong."""

WIDER = """() => {
  const wrong = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) wrong.push(`the page is ${root.scrollWidth} wide`);
  for (const one of document.body.querySelectorAll("*")) {
    if (one.closest(".wide") && !one.matches(".wide")) continue;
    if (one.matches("caption, defs, defs *, clipPath, clipPath *")) continue;
    const box = one.getBoundingClientRect();
    if (box.width && (box.right > innerWidth + 1 || box.left < -1)) wrong.push(`${one.tagName} ends at ${box.right}`);
  }
  return wrong;
}"""
"""The page, and everything in it but what scrolls in a box of its own, is as wide as the window at most."""

CUT_OFF = """() => {
  const wrong = [];
  for (const one of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(one);
    const hides = ["hidden", "clip"].some((word) => [style.overflowX, style.overflowY].includes(word));
    const more = one.scrollWidth > one.clientWidth + 1;
    if (hides && more && !one.matches("caption, svg")) wrong.push(one.outerHTML.slice(0, 80));
  }
  for (const chart of document.querySelectorAll("svg.chart")) {
    const frame = chart.getBoundingClientRect();
    for (const text of chart.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      const inside = box.left >= frame.left - 1 && box.right <= frame.right + 1 &&
        box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
      if (!inside) wrong.push(`'${text.textContent}' leaves: ${chart.getAttribute("aria-label").slice(0, 60)}`);
    }
  }
  return wrong;
}"""
"""No text is cut off by its box, and that of a chart lies inside the chart."""

OVERLAPPING = """() => {
  const wrong = [];
  for (const chart of document.querySelectorAll("svg.chart")) {
    const turned = /rotate\\((?!-?0[ )]|-?90[ )])/;
    const texts = [...chart.querySelectorAll("text")].filter((text) => !turned.test(text.getAttribute("transform")));
    const boxes = texts.map((text) => text.getBoundingClientRect());
    for (let i = 0; i < boxes.length; i++)
      for (let j = 0; j < i; j++) {
        const across = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
        const down = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
        if (across > 1 && down > 3) wrong.push(`'${texts[i].textContent}' and '${texts[j].textContent}'`);
      }
  }
  return wrong;
}"""
"""No two texts of a chart lie on each other; those that are turned by another angle than 90 degrees are left out."""

CONTRAST = """(smallest) => {
  const wrong = [];
  const parse = (text) => {
    const found = text.match(/rgba?\\(([^)]+)\\)/);
    const [r, g, b, a] = found[1].split(/[ ,/]+/).map(Number);
    return [r, g, b, a === undefined ? 1 : a];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(one.tagName)) continue;
    const style = getComputedStyle(one);
    if (style.visibility === "hidden" || !one.getClientRects().length) continue;
    const below = behind(one);
    const colour = parse(one.closest("svg") ? style.fill : style.color);
    let opacity = 1;
    for (let at = one; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    colour[3] *= opacity;
    const [a, b] = [light(over(colour, below)), light(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen++;
    if (ratio < smallest) wrong.push(`${ratio.toFixed(2)}: '${walker.currentNode.data.trim().slice(0, 40)}'`);
  }
  if (seen < 50) wrong.push(`only ${seen} texts were seen`);
  return wrong;
}"""
"""Every text that is shown has this contrast against what is behind it, by WCAG's definition, at least."""

SORTED = """(table) => {
  const headings = [...table.tHead.rows[0].cells];
  const column = headings.findIndex((cell) => cell.getAttribute("aria-sort") !== "none");
  const cells = [...table.tBodies[0].rows].map((row) => row.cells[column]);
  return { order: column < 0 ? "none" : headings[column].getAttribute("aria-sort"), column,
           numeric: column >= 0 && headings[column].classList.contains("number"),
           values: cells.map((cell) => cell.dataset.v ?? cell.textContent) };
}"""
"""By which column a table says that it is sorted, and the values in that column."""

FOCUSABLE = """() => [...document.querySelectorAll("a[href], button, summary, [tabindex='0']")]
  .filter((one) => one.getClientRects().length && !one.closest("details:not([open]) > :not(summary)")).length"""
"""The number of elements that a keyboard must reach."""
