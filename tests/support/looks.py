"""Visual faults of a page, judged in the browser by what is drawn."""

from __future__ import annotations

from playwright.sync_api import Page

# Text fragments as quadrangles on the page, each with its colour and what lies behind it.
_SEEN = """(smallest) => {
  const faults = [];
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > limit) {
    const wide = [...document.querySelectorAll('body *')].find(one =>
      one.getBoundingClientRect().right > limit + 1 && !one.closest('.table, .chart, .heard'));
    faults.push(`the page is ${document.documentElement.scrollWidth} of ${limit} px wide` +
      `: ${wide?.tagName} ${wide?.className} ${wide?.textContent?.slice(0, 40)}`);
  }
  for (const box of document.querySelectorAll('.chart, .table')) {
    if (box.scrollWidth > box.clientWidth + 1)
      faults.push(`scrolls, ${box.scrollWidth} of ${box.clientWidth} px: ${box.ariaLabel}`);
  }

  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = (upper, lower, strength = 1) => {
    const alpha = (upper[3] ?? 1) * strength;
    return [0, 1, 2].map(i => upper[i] * alpha + lower[i] * (1 - alpha));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map(c => c / 255).map(
      c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) layers.push(colour);
      if (colour.length === 3) break;
    }
    return layers.reverse().reduce((lower, upper) => over(upper, lower), [255, 255, 255]);
  };

  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest('svg, script, noscript, option')) continue;
    if (parent.closest('.heard, .skip, .stacked thead') && !parent.closest('.courses thead'))
      continue;
    if (!parent.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const clip = parent.closest('.table, .chart, pre')?.getBoundingClientRect();
    for (const r of range.getClientRects()) {
      const right = clip ? Math.min(r.right, clip.right) : r.right;
      if (right - r.left < 2 || r.height < 2 || right < 0) continue;
      const shrink = r.height * 0.18;
      seen.push({
        text: node.textContent, owner: node,
        quad: [[r.left + 1, r.top + shrink], [right - 1, r.top + shrink],
               [right - 1, r.bottom - shrink], [r.left + 1, r.bottom - shrink]],
        contrast: contrast(over(channels(getComputedStyle(parent).color), behind(parent)),
                           behind(parent)),
      });
    }
  }

  for (const svg of document.querySelectorAll('.chart svg')) {
    const frame = svg.getBoundingClientRect();
    if (frame.width === 0) continue;
    const paper = channels(getComputedStyle(svg).backgroundColor);
    const shapes = [...svg.querySelectorAll('.mark-rect path, .mark-area path')].map(path => ({
      path, box: path.getBoundingClientRect(), style: getComputedStyle(path)}));
    for (const text of svg.querySelectorAll('text')) {
      const style = getComputedStyle(text);
      if (!text.textContent.trim() || Number(style.opacity) === 0) continue;
      const box = text.getBBox(), matrix = text.getScreenCTM();
      if (box.width < 1) continue;
      const shrink = box.height * 0.18;
      const quad = [[box.x + 1, box.y + shrink], [box.x + box.width - 1, box.y + shrink],
                    [box.x + box.width - 1, box.y + box.height - shrink],
                    [box.x + 1, box.y + box.height - shrink]].map(([x, y]) => {
        const point = new DOMPoint(x, y).matrixTransform(matrix);
        return [point.x, point.y];
      });
      const [xs, ys] = [quad.map(p => p[0]), quad.map(p => p[1])];
      if (Math.min(...xs) < frame.left - 1 || Math.max(...xs) > frame.right + 1 ||
          Math.min(...ys) < frame.top - 1 || Math.max(...ys) > frame.bottom + 1 ||
          text.textContent.endsWith('…'))
        faults.push(`cut: ${text.textContent}`);
      const size = Number.parseFloat(style.fontSize) * Math.hypot(matrix.a, matrix.b);
      if (size < smallest) faults.push(`letters of ${size.toFixed(1)} px: ${text.textContent}`);
      const ink = channels(style.fill);
      const middle = (ys[0] + ys[2]) / 2;
      const worst = [0.05, 0.5, 0.95].map(at => {
        const x = Math.min(...xs) + (Math.max(...xs) - Math.min(...xs)) * at;
        const below = shapes.filter(({ path, box, style }) =>
          path.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING &&
          style.fill !== 'none' && box.left <= x && x <= box.right &&
          box.top <= middle && middle <= box.bottom).reduce(
            (lower, { style }) => over(channels(style.fill), lower,
              Number(style.opacity) * Number(style.fillOpacity)), paper);
        return contrast(over(ink, below, Number(style.opacity)), below);
      });
      seen.push({ text: text.textContent, owner: text, quad, contrast: Math.min(...worst) });
    }
  }
  for (const one of seen) {
    if (one.contrast < 4.49)
      faults.push(`contrast ${one.contrast.toFixed(2)}: ${one.text.trim().slice(0, 60)}`);
  }

  const axes = (quad) => [0, 1].map(i => [
    quad[i + 1][1] - quad[i][1], quad[i][0] - quad[i + 1][0]]);
  const reach = (quad, [x, y]) => {
    const along = quad.map(p => p[0] * x + p[1] * y);
    return [Math.min(...along), Math.max(...along)];
  };
  const apart = (one, other) => [...axes(one), ...axes(other)].some(axis => {
    const [a, b] = reach(one, axis), [c, d] = reach(other, axis);
    return b <= c || d <= a;
  });
  const ends = seen.map(one => ({ ...one,
    top: Math.min(...one.quad.map(p => p[1])), bottom: Math.max(...one.quad.map(p => p[1])) }));
  ends.sort((a, b) => a.top - b.top);
  for (let i = 0; i < ends.length; i += 1) {
    for (let j = i + 1; j < ends.length && ends[j].top < ends[i].bottom; j += 1) {
      if (ends[i].owner !== ends[j].owner && !apart(ends[i].quad, ends[j].quad))
        faults.push(`overlap: ${[i, j].map(k => ends[k].text.trim().slice(0, 50)).join(' | ')}`);
    }
  }
  return faults;
}"""

# What a page never holds, whatever names the data have.
_FOREIGN = """(site) => {
  const isOurs = (one) => one.className === 'vega-bindings';
  const faults = [];
  if (window.ran !== undefined) faults.push('a script of the data ran');
  const links = [...document.querySelectorAll('[href], [src], [srcset], [action], [style*=url]')];
  for (const one of links) {
    const where = ['href', 'src', 'srcset', 'action'].map(
      name => (one.getAttribute(name) ?? '').split('#')[0]);
    if (where.some(text => /javascript:/i.test(text) || text.includes(site)))
      faults.push(`led to: ${where}`);
  }
  for (const one of document.querySelectorAll(
      'iframe, object, embed, base, form, meta[http-equiv=refresh], body style, ' +
      '.prose img, .table img, .chart foreignObject, [onerror], [onload], [onclick]'))
    if (!isOurs(one)) faults.push(`in the page: ${one.outerHTML.slice(0, 80)}`);
  return faults;
}"""


def faults_of(page: Page, *, smallest: float = 10.5) -> list[str]:
    """Return visual faults: cut, overlapping, faint or tiny text, or a page that is too wide.

    Args:
        page: A page of a report, drawn.
        smallest: The smallest letters allowed in charts, in pixels.
    """
    found: list[str] = page.evaluate(_SEEN, smallest)
    return list(dict.fromkeys(found))


def foreign(page: Page, site: str) -> list[str]:
    """Return what the data brought into a page besides text: scripts, forms, links to a site."""
    found: list[str] = page.evaluate(_FOREIGN, site)
    return found
