"use strict";
// The page is drawn already; this makes it move, search and tell. Names come from containers and are never trusted:
// they are put into the page as text only.
(() => {
  const $ = id => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const stage = $("stage"), svg = stage.querySelector("svg"), scene = svg.querySelector(".scene");
  const size = svg.viewBox.baseVal, W = size.width, H = size.height;

  const nodes = new Map(data.nodes.map(n => [n.id, n]));
  const edges = new Map();
  const note = (id, e) => edges.has(id) ? edges.get(id).push(e) : edges.set(id, [e]);
  for (const e of data.edges) { note(e.from, e); if (e.to !== e.from) note(e.to, e); }
  const drawn = new Map();
  for (const el of scene.querySelectorAll("[data-id]")) {
    const id = el.dataset.id;
    drawn.has(id) ? drawn.get(id).push(el) : drawn.set(id, [el]);
  }
  const wires = [...scene.querySelectorAll(".wire")];

  // Characters that cannot be seen, or that turn text around, become escapes.
  const visible = s => String(s).replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  const title = n => visible(n.name || n.attrs.address || n.id);
  const make = (tag, text, cls) => {
    const el = document.createElement(tag);
    if (text !== undefined) el.textContent = text;
    if (cls) el.className = cls;
    return el;
  };

  // ---- moving about

  let x = 0, y = 0, k = 1;
  const limit = z => Math.min(4, Math.max(0.03, z));
  const apply = () => scene.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
  const glide = () => {
    stage.classList.add("glide");
    clearTimeout(glide.timer);
    glide.timer = setTimeout(() => stage.classList.remove("glide"), 300);
  };
  const zoom = (z, px, py) => {
    z = limit(z);
    x = px - (px - x) * z / k; y = py - (py - y) * z / k; k = z;
    apply();
  };
  const zoomMid = f => { glide(); zoom(k * f, stage.clientWidth / 2, stage.clientHeight / 2); };
  const fit = all => {
    const w = stage.clientWidth, h = stage.clientHeight;
    k = limit(Math.min(1, w / W, h / H));
    // At first rather the top of a tall picture than all of it too small to read.
    if (!all && k < 0.55) k = limit(Math.min(1, w / W));
    x = Math.max(0, (w - W * k) / 2); y = Math.max(0, (h - H * k) / 2);
    apply();
  };
  const boxOf = el => el.getBBox();
  const goTo = el => {
    const b = boxOf(el);
    const z = Math.min(1.4, Math.max(k, 0.9));
    glide();
    k = z; x = stage.clientWidth / 2 - (b.x + b.width / 2) * k; y = stage.clientHeight / 2 - (b.y + b.height / 2) * k;
    apply();
  };
  const inView = el => {
    const b = boxOf(el);
    return b.x * k + x >= 0 && b.y * k + y >= 0 && (b.x + b.width) * k + x <= stage.clientWidth && (b.y + b.height) * k + y <= stage.clientHeight;
  };

  stage.classList.add("live");
  svg.removeAttribute("viewBox");
  svg.removeAttribute("width");
  svg.removeAttribute("height");

  stage.addEventListener("wheel", e => {
    e.preventDefault();
    const r = stage.getBoundingClientRect();
    const step = e.deltaY * (e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1);
    zoom(k * Math.exp(-step * 0.0015), e.clientX - r.left, e.clientY - r.top);
  }, { passive: false });

  const pointers = new Map();
  let moved = false, spread = 0;
  stage.addEventListener("pointerdown", e => {
    if (e.button > 0) return;
    if (pointers.size === 0) moved = false;
    pointers.set(e.pointerId, { x: e.clientX, y: e.clientY, x0: e.clientX, y0: e.clientY });
    spread = 0;
  });
  stage.addEventListener("pointermove", e => {
    const p = pointers.get(e.pointerId);
    if (!p) return;
    if (!moved && Math.hypot(e.clientX - p.x0, e.clientY - p.y0) < 4) return;
    if (!moved) { moved = true; stage.classList.add("drag"); stage.setPointerCapture(e.pointerId); }
    if (pointers.size === 1) { x += e.clientX - p.x; y += e.clientY - p.y; apply(); }
    p.x = e.clientX; p.y = e.clientY;
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], d = Math.hypot(a.x - b.x, a.y - b.y), r = stage.getBoundingClientRect();
      if (spread) zoom(k * d / spread, (a.x + b.x) / 2 - r.left, (a.y + b.y) / 2 - r.top);
      spread = d;
    }
  });
  for (const type of ["pointerup", "pointercancel"]) {
    stage.addEventListener(type, e => { pointers.delete(e.pointerId); spread = 0; stage.classList.remove("drag"); });
  }

  // ---- choosing

  // Everything along the wires of what was chosen: a container's namespace, its links, their peers and bridges.
  const trail = id => {
    const near = new Set([id]);
    const follow = (from, dirs) => {
      for (const e of edges.get(from) || []) {
        const other = e.from === from ? e.to : e.from;
        if (dirs(e, e.from === from) && !near.has(other)) { near.add(other); follow(other, onward); }
      }
    };
    const onward = (e, out) => e.kind === "veth" || (out && (e.kind === "port" || e.kind === "parent"));
    const kind = nodes.get(id) ? nodes.get(id).kind : "";
    follow(id, (e, out) => {
      switch (kind) {
        case "netns": return e.kind === "in" || e.kind === "runs-in" || e.kind === "balances";
        case "container": return e.kind === "runs-in" || e.kind === "backend";
        case "link": return !["in", "carries"].includes(e.kind);
        default: return true;
      }
    });
    if (kind === "container") {
      for (const e of edges.get(id) || []) {
        if (e.kind === "runs-in" && e.from === id) {
          const ns = nodes.get(e.to);
          if (ns && ns.attrs.role !== "host" && ns.attrs.role !== "node") follow(e.to, x => x.kind === "in");
        }
      }
    }
    return near;
  };

  let chosen = "";
  const paint = id => {
    for (const el of scene.querySelectorAll(".on, .near")) el.classList.remove("on", "near");
    const near = id ? trail(id) : new Set();
    stage.classList.toggle("chosen", [...near].some(n => drawn.has(n)));
    for (const w of wires) w.classList.toggle("on", near.has(w.dataset.from) && near.has(w.dataset.to));
    for (const n of near) for (const el of drawn.get(n) || []) {
      const box = el.closest(".box");
      if (n === id) el.classList.add("on");
      (box || el).classList.add("near");
    }
  };
  const choose = (id, go) => {
    const n = nodes.get(id);
    if (!n) return;
    chosen = id;
    tell(n);
    paint(id);
    const el = (drawn.get(id) || [])[0];
    if (el && (go || !inView(el)) && !el.classList.contains("frame")) goTo(el);
    history.replaceState(null, "", "#" + encodeURIComponent(id));
  };
  const clear = () => {
    chosen = "";
    paint("");
    $("panel").hidden = true;
    history.replaceState(null, "", location.pathname + location.search);
  };

  const words = {
    in: ["in", "links"], "runs-in": ["runs in", "runs here"], veth: ["other end of the pair", "other end of the pair"], port: ["port of", "ports"],
    parent: ["sits on", "children"], underlay: ["carried by", "carries"], tunnel: ["tunnel to", "tunnel from"], carries: ["carries", "carried by"],
    balances: ["balances", "balanced in"], backend: ["backends", "backend of"], publishes: ["published in", "publishes"],
  };
  const values = v => Array.isArray(v) ? v.map(visible).join("\n") : visible(v);
  const tell = n => {
    const box = $("detail");
    box.replaceChildren();
    box.append(make("h2", title(n)), make("p", n.kind + (n.host ? " on " + visible(n.host) : ""), "what"));
    const list = make("dl");
    for (const [key, v] of [["id", n.id], ...Object.entries(n.attrs)]) {
      const dd = make("dd");
      values(v).split("\n").forEach((line, i) => { if (i) dd.append(make("br")); dd.append(line); });
      list.append(make("dt", key.replace(/_/g, " ")), dd);
    }
    box.append(list);
    const groups = new Map();
    for (const e of edges.get(n.id) || []) {
      const out = e.from === n.id, word = (words[e.kind] || [e.kind, e.kind])[out ? 0 : 1];
      groups.has(word) ? groups.get(word).push([e, out]) : groups.set(word, [[e, out]]);
    }
    for (const [word, es] of groups) {
      const ul = make("ul");
      for (const [e, out] of es.slice(0, 200)) {
        const id = out ? e.to : e.from, m = nodes.get(id), li = make("li");
        if (m) {
          const b = make("button", title(m));
          b.type = "button";
          b.dataset.go = id;
          b.addEventListener("click", () => choose(id, false));
          li.append(b);
        } else {
          li.append(visible(id));
        }
        const more = [m && m.host !== n.host ? m.host : "", m && m.kind === "link" ? inside(m) : "", ...Object.entries(e.attrs).map(([a, v]) => `${a.replace(/_/g, " ")} ${Array.isArray(v) ? v.join(", ") : v}`)].filter(Boolean);
        if (more.length) li.append(" ", make("small", visible(more.join(" · "))));
        ul.append(li);
      }
      if (es.length > 200) ul.append(make("li", `and ${es.length - 200} more`));
      box.append(make("h3", `${word} (${es.length})`), ul);
    }
    $("panel").hidden = false;
    $("panel").scrollTop = 0;
  };
  const inside = link => {
    const ns = nodes.get(link.attrs.netns);
    return ns ? "in " + (ns.name || ns.attrs.inode) : "";
  };

  for (const [id, els] of drawn) {
    const n = nodes.get(id);
    if (!n) continue;
    for (const el of els) {
      if (el.classList.contains("frame")) continue;
      el.setAttribute("tabindex", "0");
      el.setAttribute("role", "button");
      el.setAttribute("aria-label", `${n.kind} ${title(n)}`);
      el.addEventListener("keydown", e => {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); e.stopPropagation(); choose(id, false); }
      });
      el.addEventListener("focus", () => { if (el.matches(":focus-visible") && !inView(el)) goTo(el); });
    }
  }
  stage.addEventListener("click", e => {
    if (moved) return;
    const el = e.target.closest("[data-id]");
    if (el && nodes.has(el.dataset.id)) { choose(el.dataset.id, false); return; }
    const w = e.target.closest(".wire");
    if (w && nodes.has(w.dataset.from)) choose(w.dataset.from, false);
    else clear();
  });

  // ---- searching

  const field = $("search"), results = $("results");
  const hay = new Map(data.nodes.map(n => [n.id, JSON.stringify([n.name, n.host, n.id, n.attrs]).toLowerCase()]));
  const rank = (n, q) => {
    const name = (n.name || "").toLowerCase();
    const order = ["container", "service", "network", "netns", "link", "vtep"].indexOf(n.kind) / 10;
    if (name === q) return order;
    if ((n.attrs.addrs || []).some(a => a.split("/")[0] === q) || String(n.attrs.inode) === q) return 1 + order;
    if (name.startsWith(q)) return 2 + order;
    return (name.includes(q) ? 3 : 4) + order;
  };
  let found = [], at = -1;
  const mark = () => {
    const ids = new Set(found.map(n => n.id));
    for (const el of scene.querySelectorAll(".match")) el.classList.remove("match");
    stage.classList.toggle("searching", field.value.trim() !== "");
    for (const id of ids) for (const el of drawn.get(id) || []) {
      const box = el.closest(".box");
      if (box) box.classList.add("match");
    }
  };
  const pick = i => {
    at = i;
    [...results.children].forEach((li, j) => li.setAttribute("aria-selected", String(j === i)));
    const li = results.children[i];
    if (li && i >= 0) { li.scrollIntoView({ block: "nearest" }); field.setAttribute("aria-activedescendant", li.id); }
    else field.removeAttribute("aria-activedescendant");
  };
  const search = () => {
    const q = field.value.trim().toLowerCase();
    found = q === "" ? [] : data.nodes.filter(n => hay.get(n.id).includes(q)).sort((a, b) => rank(a, q) - rank(b, q));
    results.replaceChildren();
    found.slice(0, 30).forEach((n, i) => {
      const li = make("li", title(n));
      li.id = "result" + i;
      li.setAttribute("role", "option");
      li.append(make("small", visible([n.kind, n.host, (n.attrs.addrs || [])[0], n.kind === "link" ? inside(n) : ""].filter(Boolean).join(" · "))));
      li.addEventListener("pointerdown", e => { e.preventDefault(); take(n); });
      results.append(li);
    });
    if (q && !found.length) results.append(make("li", "nothing found", "none"));
    if (found.length > 30) results.append(make("li", `and ${found.length - 30} more`, "none"));
    results.hidden = q === "";
    field.setAttribute("aria-expanded", String(q !== ""));
    pick(found.length ? 0 : -1);
    mark();
  };
  const shut = () => { results.hidden = true; field.setAttribute("aria-expanded", "false"); };
  const take = n => {
    shut();
    stage.classList.remove("searching");
    choose(n.id, true);
    const el = (drawn.get(n.id) || [])[0];
    if (el && el.tabIndex === 0) el.focus({ preventScroll: true });
  };
  field.addEventListener("input", search);
  field.addEventListener("focus", () => { if (field.value) search(); });
  field.addEventListener("blur", () => { shut(); stage.classList.remove("searching"); });
  field.addEventListener("keydown", e => {
    const n = Math.min(found.length, 30);
    if (e.key === "ArrowDown" && n) { e.preventDefault(); pick((at + 1) % n); }
    else if (e.key === "ArrowUp" && n) { e.preventDefault(); pick((at + n - 1) % n); }
    else if (e.key === "Enter" && n) { e.preventDefault(); take(found[Math.max(0, at)]); }
    else if (e.key === "Escape") { e.stopPropagation(); field.value = ""; search(); field.blur(); }
  });

  // ---- the rest

  $("in").addEventListener("click", () => zoomMid(1.25));
  $("out").addEventListener("click", () => zoomMid(0.8));
  $("fit").addEventListener("click", () => { glide(); fit(true); });
  $("close").addEventListener("click", clear);
  const gaps = $("gaps");
  if (data.gaps.length) {
    gaps.hidden = false;
    gaps.textContent = data.gaps.length === 1 ? "1 gap" : `${data.gaps.length} gaps`;
    gaps.title = "what could not be read";
    gaps.addEventListener("click", () => {
      const box = $("detail"), ul = make("ul");
      for (const g of data.gaps) {
        ul.append(make("li", visible([g.host, g.namespace, g.reader, g.error, g.needs ? "needs " + g.needs : "", g.count > 1 ? `${g.count} times` : ""].filter(Boolean).join(" · "))));
      }
      box.replaceChildren(make("h2", "What could not be read"), ul);
      paint("");
      $("panel").hidden = false;
    });
  }
  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target === field) return;
    const step = 80;
    switch (e.key) {
      case "+": case "=": zoomMid(1.25); break;
      case "-": case "_": zoomMid(0.8); break;
      case "0": glide(); fit(true); break;
      case "/": field.focus(); field.select(); break;
      case "Escape": clear(); break;
      case "ArrowLeft": x += step; apply(); break;
      case "ArrowRight": x -= step; apply(); break;
      case "ArrowUp": y += step; apply(); break;
      case "ArrowDown": y -= step; apply(); break;
      default: return;
    }
    e.preventDefault();
  });
  fit(false);
  if (location.hash.length > 1) {
    try { choose(decodeURIComponent(location.hash.slice(1)), true); } catch { /* not an id */ }
  }
  document.documentElement.dataset.ready = "1";
})();
