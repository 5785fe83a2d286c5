"use strict";
(() => {
  if (typeof vegaEmbed !== "function") return;
  const MOST_SEED_LINES = 60, MOST_SEED_POINTS = 6000, SHARE_OUT_OF_VIEW = 0.25, NAME_WIDTH = 6.5, ROOM_FOR_TWO_LINES = 1.25;
  const minus = (text) => text.replace("-", "\u2212");
  const fixed = (number, decimals) => minus(number.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  const short = (number) => minus(Math.abs(number) >= 1 || number === 0 ? number.toFixed(2) : number.toPrecision(3));
  const signed = (number) => (number > 0 ? "+" : "") + short(number);
  const spaced = (...words) => words.filter(Boolean).join(" ");
  const ends = (numbers) => numbers.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);
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

  const lineName = (line) => line.name ?? (line.seed !== null ? `seed ${line.seed}` : line.n === 1 ? "the only seed" : `mean of ${line.n} seeds`);
  const lineRows = (state) => {
    const apart = state.view.needsSeconds && state.timing.lines ? state.timing : null, { lines, words } = apart ?? state.data;
    const seconds = apart ? null : state.timing?.seconds, { unit, decimals } = state.metricEntry ?? {};
    const titles = new Map(state.explorer.groups.map((group) => [group.key, group.title]));
    return lines.flatMap((line, index) => {
      const values = line.values[state.metric];
      if (!values || !state.picked.has(line.cell)) return [];
      const title = titles.get(line.cell) ?? line.cell, name = lineName(line);
      return values.flatMap((number, i) => {
        const time = seconds?.[index]?.[i] ?? null;
        if (number === null || (state.view.needsSeconds && !apart && !(time > 0))) return [];
        const low = line.low?.[state.metric]?.[i] ?? null, high = line.high?.[state.metric]?.[i] ?? null;
        const row = { cell: line.cell, title, line: name, seed: line.seed, along: line.along[i], number, low, high, last: i === values.length - 1 };
        if (time !== null) row.seconds = time;
        row.placed = minus(row.along.toLocaleString("en"));
        row.said = fixed(number, decimals);
        row.time = time === null ? "not recorded" : `${time.toLocaleString("en", { maximumFractionDigits: 1 })} s`;
        row.interval = low === null ? "none" : `${fixed(low, Math.max(0, decimals - 1))} to ${fixed(high, Math.max(0, decimals - 1))}`;
        row.series = `${line.cell}\u0000${line.seed ?? ""}`;
        row.aloud = `${title}, ${name}: ${spaced(fixed(number, Math.max(0, decimals - 1)), unit)} ${words[0]}${row.placed}${words[1]}`;
        return [row];
      });
    });
  };
  const pairRows = (state) =>
    state.data.comparisons
      .filter((pair) => state.picked.has(pair.group))
      .flatMap((pair, place) => {
        const held = pair.readings[state.view.key] ?? { seeds: [], differences: [], mean: null, said: "not read so" };
        const row = (mark, level, number, said) => ({
          group: pair.group, title: pair.title, mark, place: `${place}.${level}`, position: 2 * place + level, number, said, series: place, aloud: `${pair.title}: ${said}`,
        });
        const mean = { ...row("mean", 0, held.mean, held.said), low: held.low ?? null, high: held.high ?? null };
        return [mean, ...held.seeds.map((seed, i) => row("seed", 1, held.differences[i], spaced(`seed ${seed}:`, signed(held.differences[i]), state.data.unit)))];
      });
  const ofView = (state) => state.data.rows.filter((row) => row.view === undefined || row.view === state.view.key);
  const plainRows = (state) => {
    const by = state.explorer.groupBy;
    const rows = ofView(state).filter((row) => (row[by] === undefined || state.picked.has(row[by])));
    const numbers = rows.flatMap((row) => (typeof row.number === "number" ? [row.number] : [])), [worst, best] = ends(numbers);
    const floor = state.data.mostFromBest && !state.whole ? Math.max(worst, best - state.data.mostFromBest) : worst;
    const foot = numbers.length ? floor - (0.12 * (best - floor) || 1) : 0;
    const inView = (number) => (number >= floor ? number : foot);
    return rows.map((row) => ({
      ...row, shown: inView(row.number ?? foot), ...(row.worst === undefined ? {} : { worst: inView(row.worst), best: inView(row.best) }),
      series: row.series ?? row[by], aloud: `${row.title}: ${row.said}`,
    }));
  };

  const named = (title, width) => (title.length * NAME_WIDTH > width ? title.replace(" against ", "\nagainst ") : title);
  const withSeeds = (state, rows) => {
    const of = rows.filter((row) => row.seed !== null), num = new Set(of.map((row) => row.series)).size;
    state.note.textContent = "";
    if (!state.seeds || !num) return rows.filter((row) => row.seed === null);
    if (num > MOST_SEED_LINES) {
      state.note.textContent = `${num} curves of single seeds are not drawn: show fewer cells to see them (${MOST_SEED_LINES} at most).`;
      return rows.filter((row) => row.seed === null);
    }
    const stride = Math.ceil(of.length / MOST_SEED_POINTS);
    if (stride === 1) return rows;
    state.note.textContent = `Of so many curves of single seeds one point in ${stride} is drawn: show fewer cells to see more.`;
    return rows.filter((row, i) => row.seed === null || row.last || i % stride === 0);
  };
  const bounds = (state, rows) => {
    const metric = state.metricEntry, field = state.view.needsSeconds && rows[0].seconds !== undefined ? "seconds" : "along";
    if (metric.ends) return metric.ends;
    const banded = (row) => [row.low ?? row.number, row.number, row.high ?? row.number];
    const start = SHARE_OUT_OF_VIEW * ends(rows.map((row) => row[field]))[1];
    const late = metric.better && metric.mostFromBest === null && !state.whole ? rows.filter((row) => row[field] >= start) : rows;
    const all = ends(rows.map((row) => row.number)), [low, high] = ends(late.flatMap((row) => (state.whole || row.last ? banded(row) : [row.number])));
    const most = state.whole ? Infinity : metric.mostFromBest ?? Infinity;
    const [bottom, top] = metric.better === "lower" ? [Math.min(low, all[0]), Math.min(high, all[0] + most)] : [Math.max(low, all[1] - most), metric.better ? Math.max(high, all[1]) : high];
    const room = bottom < top ? 0 : Math.abs(top) / 1000 || 1;
    return [bottom - room, top + room];
  };

  const heading = (state) => {
    const metric = state.metricEntry;
    if (!metric) return state.explorer.notes.heading ?? "";
    return `${metric.title}${metric.unit ? ` (${metric.unit})` : ""}${metric.better ? `, ${metric.better} is better` : ""}`;
  };

  const specification = (state, rows) => {
    const spec = structuredClone(state.explorer.specs[state.view.spec]);
    if (state.metricEntry) {
      const [lowest, highest] = bounds(state, rows), values = { lowest, highest };
      for (const param of spec.params) param.value = values[param.name] ?? param.value;
    }
    const room = rows.some((row) => row.name?.includes("\n")) ? ROOM_FOR_TWO_LINES : 1;
    if (spec.height.step) spec.height = room * spec.height.step * new Set(rows.map((row) => row.place)).size;
    spec.datasets = { ...spec.datasets, rows };
    return spec;
  };
  const options = {
    actions: false, renderer: "svg", mode: "vega-lite", logLevel: 1, defaultStyle: false, tooltip: { disableDefaultStyle: true, theme: "page" },
    loader: { load: () => Promise.reject(new Error("a report fetches nothing")) },
  };
  const draw = async (state) => {
    const turn = ++state.turn;
    const found = state.data.lines ? withSeeds(state, lineRows(state)) : state.data.comparisons ? pairRows(state) : plainRows(state);
    state.plot.hidden = false;
    const width = state.plot.clientWidth;
    state.rows = found.map((row, number) => ({ ...row, row: number, ...(row.mark === "name" || row.mark === "mean" ? { name: named(row.title, width) } : {}) }));
    state.empty.hidden = state.rows.length > 0;
    state.legend.hidden = Boolean(state.data.rows) && !ofView(state).some((row) => row[state.explorer.groupBy] !== undefined);
    state.plot.hidden = !state.empty.hidden;
    state.heading.textContent = heading(state);
    state.plot.style.minHeight = state.rows.length ? `${state.plot.offsetHeight}px` : "";
    state.said.textContent = "";
    state.at = -1;
    state.result?.finalize();
    state.result = null;
    if (!state.rows.length) return state.drawing.replaceChildren();
    const result = await vegaEmbed(state.drawing, specification(state, state.rows), options);
    if (turn !== state.turn) return result.finalize();
    state.result = result;
    if (state.at >= 0) result.view.signal("focused", state.at).runAsync();
    state.plot.style.minHeight = "";
  };

  const go = (state, row) => {
    if (!row) return;
    state.at = row.row;
    state.said.textContent = row.aloud;
    state.result?.view.signal("focused", row.row).runAsync();
  };
  const reachable = (state) => state.rows.filter((row) => row.said !== undefined && (typeof row.number === "number" || row.lost));
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
  const OUTLINES = {
    circle: "M1,6a5,5 0 1,0 10,0a5,5 0 1,0 -10,0", square: "M1.5,1.5h9v9h-9z", diamond: "M6,0l4.5,6l-4.5,6l-4.5,-6z", cross: "M4,1h4v3h3v4h-3v3h-4v-3h-3v-4h3z",
    "triangle-up": "M6,1l5,10h-10z", "triangle-down": "M6,11l5,-10h-10z", "triangle-left": "M1,6l10,-5v10z", "triangle-right": "M11,6l-10,-5v10z",
  };
  const swatch = (group) => {
    const made = (tag, attributes) => {
      const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, text] of Object.entries(attributes)) part.setAttribute(name, text);
      return part;
    };
    const width = group.shape ? 12 : 26, drawn = made("svg", { class: "swatch", viewBox: `0 0 ${width} 12`, width, height: 12, "aria-hidden": "true" });
    const line = { x1: 1, x2: 25, y1: 6, y2: 6, stroke: group.colour, "stroke-width": 3, "stroke-dasharray": group.dash.join(" ") };
    drawn.append(group.shape ? made("path", { d: OUTLINES[group.shape] ?? OUTLINES.circle, fill: group.colour }) : made("line", line));
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
    const more = buttons.length > 2 ? [element("span", { className: "extremes" }, ...extremes)] : [];
    return element("div", { className: "legend", role: "group", ariaLabel: `${state.explorer.groupsTitle} shown` }, ...buttons.map(([, button]) => button), ...more);
  };
  const reachesFurther = (data) => {
    const [worst, best] = ends((data.rows ?? []).flatMap((row) => (typeof row.number === "number" ? [row.number] : [])));
    return data.mostFromBest > 0 && worst < best - data.mostFromBest;
  };
  const controls = (state) => {
    const views = state.explorer.views.filter((view) => !view.needsSeconds || state.timing);
    const made = [];
    if (state.data.metrics?.length > 1) made.push(choice("Show", state.data.metrics.map((metric) => [metric.key, metric.title]), state.metric, (key) => { setMetric(state, key); draw(state); }));
    if (views.length > 1) made.push(choice(state.explorer.viewsTitle, views.map((view) => [view.key, view.title]), state.view.key, (key) => { state.view = views.find((view) => view.key === key); draw(state); }));
    if (state.data.lines?.some((line) => line.seed !== null)) made.push(toggle("every seed", state.seeds, (on) => { state.seeds = on; draw(state); }));
    if (state.data.lines ? !state.data.metrics.every((metric) => metric.ends) : reachesFurther(state.data)) made.push(toggle("whole height", state.whole, (on) => { state.whole = on; draw(state); }));
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
    state.legend = legend(state);
    place.append(controls(state), state.legend, state.heading, plot, state.empty, state.said, state.note, ...(about ? [element("p", { className: "note", textContent: about })] : []));
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
