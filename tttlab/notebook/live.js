// The live view of a run. All text goes in as text, never as markup. A message carries, for each call that has news,
// the pieces of text since the last one and how many came before them; a view that finds a gap asks for the whole.
const ROWS = 48;
const KEPT = 20000;
const UNHEARD_MS = 3000;

function element(parent, tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name ? `tttlab-${name}` : "";
  made.textContent = text;
  parent.append(made);
  return made;
}

function stream(parent, name) {
  const node = document.createTextNode("");
  element(parent, "span", name).append(node);
  return { node, pieces: 0 };
}

// Returns whether the pieces fit onto what is there already.
function extend(stream, { at, to, text }) {
  if (at === 0) stream.node.data = text;
  else if (at === stream.pieces) stream.node.appendData(text);
  else if (at > stream.pieces) stream.node.data = `… ${text}`;
  else return true;
  const whole = at <= stream.pieces || at === 0;
  stream.pieces = to;
  if (stream.node.length > KEPT) stream.node.data = `… ${stream.node.data.slice(-KEPT / 2)}`;
  return whole;
}

const lastLine = (text) => text.trimEnd().split("\n").pop().slice(-160);

function render({ model, el }) {
  const opening = model.get("opening");
  const root = element(el, "div", "live");
  const head = element(root, "div", "head");
  element(head, "span", "dot");
  const what = element(head, "span", "what", [opening.strategy, opening.model].join(" · "));
  what.title = opening.prompt;
  const facts = element(head, "span", "facts");
  const stop = element(head, "button", "stop", "Stop");
  stop.type = "button";
  stop.title = "Stop this run and keep its best answer. Interrupting the kernel does the same.";
  stop.hidden = !model.get("can_stop");
  const note = element(head, "span", "note", model.get("can_stop") ? "" : "interrupt the kernel to stop");
  const best = element(root, "div", "best");
  best.hidden = true;
  const list = element(root, "div", "calls");
  const pane = element(root, "div", "pane");
  pane.setAttribute("role", "log");
  pane.setAttribute("aria-live", "off");

  const calls = new Map();
  let chosen = null;
  let pinned = false;

  function choose(number, by_hand) {
    if (by_hand) pinned = true;
    chosen = number;
    for (const [other, call] of calls) call.row.setAttribute("aria-pressed", String(other === number));
    pane.replaceChildren(calls.get(number).body);
    pane.scrollTop = pane.scrollHeight;
    if (!by_hand) list.scrollTop = calls.get(number).row.offsetTop - list.clientHeight / 2;
  }

  function add(number) {
    const row = element(list, "button", "call");
    row.type = "button";
    row.onclick = () => choose(number, true);
    const body = document.createElement("div");
    const call = {
      row,
      body,
      status: "running",
      number: element(row, "span", "number", String(number)),
      line: element(row, "span", "line"),
      answer: element(row, "span", "answer"),
      thinking: stream(body, "thinking"),
      text: stream(body, "text"),
    };
    calls.set(number, call);
    if (calls.size > ROWS) {
      const [oldest] = [...calls].find(([other, { status }]) => status !== "running" && other !== chosen) ?? [];
      if (oldest !== undefined) {
        calls.get(oldest).row.remove();
        calls.delete(oldest);
      }
    }
    list.hidden = calls.size < 2;
    return call;
  }

  function update(message) {
    if (message.type !== "news") return;
    facts.textContent = message.facts.join(" · ");
    if (message.answer !== null) {
      best.hidden = false;
      best.replaceChildren();
      element(best, "span", "note", "best answer so far ");
      element(best, "b", "", message.answer);
      element(best, "span", "note", message.confidence);
    }
    const atEnd = pane.scrollTop + pane.clientHeight > pane.scrollHeight - 24;
    let whole = true;
    for (const news of message.calls) {
      const call = calls.get(news.number) ?? add(news.number);
      whole = extend(call.thinking, news.thinking) && whole;
      whole = extend(call.text, news.text) && whole;
      call.status = news.status;
      call.row.dataset.status = news.status;
      call.line.textContent = lastLine(call.text.node.data || call.thinking.node.data);
      call.line.dataset.channel = call.text.node.data ? "text" : "thinking";
      call.answer.textContent = news.answer ?? (news.status === "running" ? "" : news.status === "ok" ? "no answer" : news.status);
    }
    if (!pinned && calls.get(chosen)?.status !== "running") {
      const next = [...calls].find(([, { status }]) => status === "running") ?? [...calls].pop();
      if (next && next[0] !== chosen) choose(next[0], false);
    }
    if (atEnd) pane.scrollTop = pane.scrollHeight;
    if (!whole) model.send({ type: "whole" });
  }

  stop.onclick = () => {
    model.send({ type: "stop" });
    stop.disabled = true;
    stop.textContent = "Stopping…";
    setTimeout(() => {
      stop.disabled = false;
      stop.textContent = "Stop";
      note.textContent = "the kernel did not hear it: interrupt it instead";
    }, UNHEARD_MS);
  };

  model.on("msg:custom", update);
  model.send({ type: "whole" });
  return () => model.off("msg:custom", update);
}

export default { render };
