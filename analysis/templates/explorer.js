"use strict";
(() => {
  if (typeof vegaEmbed !== "function") return;
  const MOST_SEED_LINES = 60, MOST_NATS_BELOW_BEST = 60;
  const nats = (number) => number.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }).replace("-", "\u2212");
  const blocks = new Map();
  const read = (id) => {
    if (!blocks.has(id)) blocks.set(id, JSON.parse(document.getElementById(id)?.textContent ?? "null"));
    return blocks.get(id);
  };
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const curveRows = (state) => {
    const seconds = state.timing?.seconds, titles = new Map(state.explorer.groups.map((group) => [group.key, group.title]));
    return state.data.lines.flatMap((line, index) => {
      const values = line.values[state.metric];
      if (!values || !state.picked.has(line.cell)) return [];
      const title = titles.get(line.cell) ?? line.cell;
      const name = line.seed !== null ? `seed ${line.seed}` : line.n === 1 ? "the only seed" : `mean of ${line.n} seeds`;
      return values.flatMap((value, i) => {
        const time = seconds?.[index]?.[i] ?? null;
        if (value === null || (state.view.needsSeconds && !(time > 0))) return [];
        const low = line.low?.[state.metric]?.[i] ?? null, high = line.high?.[state.metric]?.[i] ?? null;
        const row = { cell: line.cell, title, line: name, seed: line.seed, samples: line.samples[i], nats: value, low, high };
        if (time !== null) row.seconds = time;
        row.time = time === null ? "not recorded" : `${time.toLocaleString("en", { maximumFractionDigits: 1 })} s`;
        row.interval = low === null ? "none" : `${nats(low)} to ${nats(high)}`;
        row.series = `${line.cell}\u0000${line.seed ?? ""}`;
        row.aloud = `${title}, ${name}: ${nats(value)} nats after ${row.samples.toLocaleString("en")} training samples`;
        return [row];
      });
    });
  };
  const plainRows = (state) =>
    state.data.rows
      .filter((row) => state.picked.has(row[state.explorer.groupBy]))
      .map((row) => ({ ...row, series: row[state.explorer.groupBy], aloud: `${row.title}: ${row.said}` }));

  const withSeeds = (state, rows) => {
    const num = new Set(rows.filter((row) => row.seed !== null).map((row) => row.series)).size;
    const shown = state.seeds && num <= MOST_SEED_LINES;
    state.note.textContent = !state.seeds || !num ? "" : shown ? "" : `${num} curves of single seeds are not drawn: show fewer cells to see them (${MOST_SEED_LINES} at most).`;
    return shown ? rows : rows.filter((row) => row.seed === null);
  };
  const lowest = (state, rows) => {
    const all = rows.map((row) => row.nats), means = rows.filter((row) => row.seed === null).map((row) => row.low ?? row.nats);
    if (state.whole || !state.metricEntry.higherIsBetter) return Math.min(...all);
    const best = Math.max(...all);
    return Math.max(Math.min(...means), best - MOST_NATS_BELOW_BEST);
  };

  const heading = (state) => {
    const metric = state.metricEntry;
    return metric ? `${metric.title} (nats)${metric.higherIsBetter ? ", higher is better" : ""}` : state.explorer.notes.heading ?? "";
  };

  const specification = (state, rows) => {
    const spec = structuredClone(state.view.spec);
    const set = (name, value) => { for (const param of spec.params) if (param.name === name) param.value = value; };
    if (state.metricEntry) set("lowest", lowest(state, rows));
    const places = (held) => new Set(held.map((row) => row.place)).size;
    if (rows[0].place !== undefined) spec.height *= places(rows) / places(state.data.rows);
    spec.datasets = { ...spec.datasets, rows };
    return spec;
  };
  const options = {
    actions: false, renderer: "svg", mode: "vega-lite", logLevel: 1, defaultStyle: false, tooltip: { disableDefaultStyle: true, theme: "page" },
    loader: { load: () => Promise.reject(new Error("a report fetches nothing")) },
  };
  const draw = async (state) => {
    const turn = ++state.turn;
    const found = state.data.lines ? withSeeds(state, curveRows(state)) : plainRows(state);
    state.rows = found.map((row, number) => ({ ...row, row: number }));
    state.empty.hidden = state.rows.length > 0;
    state.heading.textContent = heading(state);
    state.plot.style.minHeight = `${state.plot.offsetHeight}px`;
    state.result?.finalize();
    state.result = null;
    if (!state.rows.length) return state.drawing.replaceChildren();
    const result = await vegaEmbed(state.drawing, specification(state, state.rows), options);
    if (turn !== state.turn) return result.finalize();
    state.result = result;
    state.at = -1;
    state.plot.style.minHeight = "";
  };

  const go = (state, row) => {
    if (!row) return;
    state.at = row.row;
    state.said.textContent = row.aloud;
    state.result?.view.signal("focused", row.row).runAsync();
  };
  const reachable = (state) => state.rows.filter((row) => row.nats !== null && row.nats !== undefined);
  const keys = {
    ArrowRight: (state) => go(state, reachable(state).find((row) => row.row > state.at)),
    ArrowLeft: (state) => go(state, reachable(state).findLast((row) => row.row < state.at)),
    ArrowDown: (state) => {
      const here = state.rows[state.at]?.series;
      go(state, reachable(state).find((row) => row.row > state.at && row.series !== here));
    },
    ArrowUp: (state) => {
      const here = state.rows[state.at]?.series, before = reachable(state).findLast((row) => row.row < state.at && row.series !== here);
      go(state, before && reachable(state).find((row) => row.series === before.series));
    },
  };

  const choice = (label, entries, chosen, onChange) => {
    const select = element("select");
    for (const [value, text] of entries) select.append(element("option", { value, textContent: text, selected: value === chosen }));
    select.addEventListener("change", () => onChange(select.value));
    return element("label", {}, `${label} `, select);
  };
  const toggle = (label, checked, onChange) => {
    const box = element("input", { type: "checkbox", checked });
    box.addEventListener("change", () => onChange(box.checked));
    return element("label", {}, box, ` ${label}`);
  };
  const swatch = (group) => {
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(drawn.namespaceURI, "line");
    for (const [name, text] of Object.entries({ class: "swatch", viewBox: "0 0 26 8", width: "26", height: "8", "aria-hidden": "true" })) drawn.setAttribute(name, text);
    for (const [name, text] of Object.entries({ x1: "1", x2: "25", y1: "4", y2: "4", stroke: group.colour, "stroke-width": "3", "stroke-dasharray": group.dash.join(" ") })) line.setAttribute(name, text);
    drawn.append(line);
    return drawn;
  };
  const legend = (state) => {
    const buttons = state.explorer.groups.map((group) => {
      const button = element("button", { type: "button" }, swatch(group), ` ${group.title}`);
      button.addEventListener("click", () => pick(state.picked.has(group.key) ? [...state.picked].filter((key) => key !== group.key) : [...state.picked, group.key]));
      return [group.key, button];
    });
    const show = () => { for (const [key, button] of buttons) button.setAttribute("aria-pressed", String(state.picked.has(key))); };
    const pick = (keys) => { state.picked = new Set(keys); show(); draw(state); };
    show();
    const extremes = [["all", state.explorer.groups.map((group) => group.key)], ["none", []]].map(([text, keys]) => {
      const button = element("button", { type: "button", className: "quiet", textContent: text });
      button.addEventListener("click", () => pick(keys));
      return button;
    });
    const more = buttons.length > 2 ? extremes : [];
    return element("div", { className: "legend", role: "group", ariaLabel: `${state.explorer.groupsTitle} shown` }, ...buttons.map(([, button]) => button), ...more);
  };
  const controls = (state) => {
    const views = state.explorer.views.filter((view) => !view.needsSeconds || state.timing);
    const made = [];
    if (state.data.metrics?.length > 1) made.push(choice("Show", state.data.metrics.map((metric) => [metric.key, metric.title]), state.metric, (key) => { setMetric(state, key); draw(state); }));
    if (views.length > 1) made.push(choice("against", views.map((view) => [view.key, view.title]), state.view.key, (key) => { state.view = views.find((view) => view.key === key); draw(state); }));
    if (state.data.lines?.some((line) => line.seed !== null)) made.push(toggle("every seed", state.seeds, (on) => { state.seeds = on; draw(state); }));
    if (state.data.lines) made.push(toggle("whole height", state.whole, (on) => { state.whole = on; draw(state); }));
    return element("div", { className: "controls" }, ...made);
  };
  const setMetric = (state, key) => {
    state.metricEntry = state.data.metrics?.find((metric) => metric.key === key) ?? state.data.metrics?.[0];
    state.metric = state.metricEntry?.key;
  };

  const build = (figure, place) => {
    const name = place.dataset.explorer, explorer = read(`explorer-${name}`), data = read(`data-${explorer.dataset}`);
    const drawing = element("div", { ariaHidden: "true" }), plot = element("div", { className: "plot", tabIndex: 0 }, drawing);
    const state = {
      explorer, data, timing: read(`seconds-${explorer.dataset}`), view: explorer.views[0], picked: new Set(explorer.groups.map((group) => group.key)),
      seeds: true, whole: false, turn: 0, at: -1, rows: [], result: null, plot, drawing,
      heading: element("p", { className: "axis" }), note: element("p", { className: "note" }), said: element("p", { className: "said", role: "status" }),
      empty: element("p", { className: "note", hidden: true, textContent: "Nothing is shown." }),
    };
    setMetric(state, explorer.metric);
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-label", `${figure.querySelector("h3").textContent}. The arrow keys go from point to point and from line to line.`);
    plot.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key](state);
    });
    const about = [explorer.notes.about, data.note].filter(Boolean).join(" ");
    place.append(controls(state), legend(state), state.heading, plot, state.empty, state.said, state.note, ...(about ? [element("p", { className: "note", textContent: about })] : []));
    place.hidden = false;
    figure.classList.add("explored");
    return draw(state);
  };
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((seen) => seen.isIntersecting)) {
      const figure = entry.target, place = figure.querySelector(".explorer");
      watch.unobserve(figure);
      build(figure, place).catch((fault) => {
        figure.classList.remove("explored");
        place.hidden = true;
        console.error(fault);
      });
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll("figure > .explorer").forEach((place) => watch.observe(place.parentElement));
})();
