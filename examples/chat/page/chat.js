// The chat page: a connection, what comes over it, who is here, and what is typed.

const SILENCE = 35_000; // ms; the server speaks every 10 s to whoever does not
const CONNECTING = 10_000; // ms until an attempt is given up
const BACKOFF = { first: 500, longest: 15_000 }; // ms
const KEPT = 500; // messages and notices
const TOGETHER = 3 * 60; // s within which messages of one person stand together
const EMOJI =
  "😀 😄 😂 🤣 😊 🙂 😉 😍 🥰 😘 😎 🤩 🤔 🙄 😅 😭 😢 😤 😡 😱 😴 🤒 🤗 🤫 " +
  "👍 👎 👌 ✌️ 🤞 👏 🙌 🙏 💪 👋 🤝 👀 ❤️ 💛 💚 💙 💜 💔 ✨ 🔥 🎉 🎂 🎁 🏆 " +
  "☀️ 🌈 🌧️ 🌙 ⭐ 🌸 🌻 🍀 🐱 🐶 🐼 🦊 ☕ 🍵 🍕 🍜 🍎 🍰 🚀 🚲 ✅ ❌ ❓ 💡";

const $ = (id) => document.getElementById(id);
const room = new URLSearchParams(location.search).get("room_id") || "1";
const me = { id: "", name: "" };
const people = new Map(); // names by client_id, plain text
let target = null; // who alone is written to: { id, name }
let unsent = ""; // what was sent last, until it is known to have come through
let unseen = 0; // messages since the page was last looked at

// --- markup -----------------------------------------------------------------------------------
// Names and contents come as HTML that the server has escaped. It is parsed in a document of its
// own, in which nothing runs or loads; text, line breaks and bold are all that is taken from it.

const parse = (markup) => new DOMParser().parseFromString(`<body>${markup}`, "text/html").body;
const textOf = (markup) => parse(markup).textContent;

function contentOf(markup) {
  const content = document.createDocumentFragment();
  for (const node of parse(markup).childNodes) {
    if (node.nodeName === "BR") content.append(document.createElement("br"));
    else if (node.nodeName === "B") content.append(element("b", node.textContent));
    else content.append(...linked(node.textContent.replace(/[\r\n]/g, "")));
  }
  return content;
}

function* linked(text) {
  let end = 0;
  for (const { 0: found, index } of text.matchAll(/https?:\/\/[^\s<>"]+/gi)) {
    const address = withoutPunctuation(found);
    if (!URL.canParse(address)) continue;
    yield text.slice(end, index);
    yield link(new URL(address), address);
    end = index + address.length;
  }
  yield text.slice(end);
}

function withoutPunctuation(address) {
  const shorter = address.replace(/[.,;:!?'*，。；：！？、）】》]+$/, "");
  return shorter.endsWith(")") && !shorter.includes("(") ? withoutPunctuation(shorter.slice(0, -1)) : shorter;
}

function link(url, text) {
  const anchor = element("a", text);
  Object.assign(anchor, { href: url.href, target: "_blank", rel: "noopener noreferrer" });
  if (/\.(png|jpe?g|gif|webp|avif)$/i.test(url.pathname)) anchor.replaceChildren(picture(url, text));
  return anchor;
}

function picture(url, text) {
  const image = new Image();
  Object.assign(image, { loading: "lazy", decoding: "async", referrerPolicy: "no-referrer", alt: text });
  image.onload = () => wasAtEnd && toEnd();
  image.onerror = () => {
    image.replaceWith(text);
    if (wasAtEnd) toEnd();
  };
  image.src = url.href;
  return image;
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

// --- the connection ---------------------------------------------------------------------------

class Connection {
  #socket = null;
  #failures = 0;
  #since = 0; // when it began, or when something came last
  #timer = 0;

  constructor({ onOpen, onMessage, onState }) {
    Object.assign(this, { onOpen, onMessage, onState });
    setInterval(() => this.#watch(), 5000);
    addEventListener("online", () => this.#hurry());
    addEventListener("pageshow", () => this.#hurry());
    addEventListener("pagehide", () => this.#drop()); // or a page kept for "back" would stay here
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  open() {
    clearTimeout(this.#timer);
    this.onState("connecting");
    const address = new URL(".", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.search = address.hash = "";
    const socket = (this.#socket = new WebSocket(address));
    this.#since = Date.now();
    socket.onopen = () => this.onOpen();
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  /** Whether it could be sent. */
  send(message) {
    const open = this.#socket?.readyState === WebSocket.OPEN;
    if (open) this.#socket.send(JSON.stringify(message));
    return open;
  }

  #received(data) {
    this.#since = Date.now();
    this.#failures = 0;
    const message = JSON.parse(data);
    if (message.type === "ping") this.send({ type: "pong" });
    else this.onMessage(message);
  }

  #lost(code, reason) {
    this.#socket = null;
    if (code >= 3500 && code < 4000) return this.onState("closed", reason);
    const limit = Math.min(BACKOFF.longest, BACKOFF.first * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.open(), limit * (0.5 + Math.random() / 2));
    this.onState("waiting");
  }

  #watch() {
    const patience = this.#socket?.readyState === WebSocket.CONNECTING ? CONNECTING : SILENCE;
    if (!this.#socket || Date.now() - this.#since < patience) return;
    this.#drop();
  }

  #drop() {
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#lost(1006, "");
  }

  #hurry() {
    if (state() === "waiting") this.open();
  }
}

const STATES = {
  connecting: "Connecting",
  joined: "Connected",
  waiting: "Connection lost, trying again",
  refused: "Not let in",
  closed: "Closed by the server",
};
const state = () => document.documentElement.dataset.state;

function setState(name, reason = "") {
  document.documentElement.dataset.state = name;
  $("state").textContent = STATES[name] + (reason && `: ${reason}`);
}

const connection = new Connection({
  onState: setState,
  onOpen: login,
  onMessage: (message) => HANDLERS[message.type]?.(message),
});

function login() {
  connection.send({ type: "login", client_name: me.name, room_id: room });
}

// --- what comes -------------------------------------------------------------------------------

const HANDLERS = {
  login(message) {
    if (message.client_list) return entered(message);
    const name = textOf(message.client_name);
    people.set(message.client_id, name);
    showPeople();
    notice(`${name} joined`, message.time);
  },

  logout(message) {
    people.delete(message.from_client_id);
    showPeople();
    showTarget();
    notice(`${textOf(message.from_client_name)} left`, message.time);
  },

  say(message) {
    if (message.from_client_id === me.id) unsent = "";
    show(said(message), message.time);
    countUnseen(message);
  },

  error(message) {
    show(element("li", textOf(message.content), "notice error"));
    if (state() === "connecting") setState("refused");
    if (!$("input").value) write(unsent);
    unsent = "";
  },
};

function entered({ client_id, client_list, time }) {
  me.id = client_id;
  people.clear();
  for (const [id, name] of Object.entries(client_list)) people.set(id, textOf(name));
  me.name = people.get(me.id);
  setState("joined");
  showPeople();
  showTarget();
  notice(`You are here as ${me.name}`, time);
}

function said(message) {
  const item = $("message-template").content.firstElementChild.cloneNode(true);
  const [avatar, head, bubble] = item.children;
  const [name, whom, time] = head.children;
  const isOwn = message.from_client_id === me.id;
  const sender = { id: message.from_client_id, name: textOf(message.from_client_name) };
  paint(avatar, sender.name);
  name.textContent = sender.name;
  name.onclick = () => writeTo(sender);
  time.textContent = message.time.slice(11, 16);
  time.dateTime = bubble.title = message.time;
  bubble.append(contentOf(message.content));
  item.classList.toggle("own", isOwn);
  item.classList.toggle("large", isEmoji(bubble.textContent));
  if (message.to_client_id !== "all") makePrivate(item, whom, bubble, isOwn && message.to_client_id);
  item.dataset.thread = `${sender.id} ${message.to_client_id}`;
  item.classList.toggle("follows", follows(item, message.time));
  return item;
}

/** The server begins a private message in bold with whom it is for; here the head says that. */
function makePrivate(item, whom, bubble, to) {
  item.classList.add("private");
  if (bubble.firstChild?.nodeName === "B") bubble.firstChild.remove();
  whom.textContent = to ? `to ${people.get(to) ?? "one person"} only` : "to you only";
}

function isEmoji(text) {
  return /^(\p{Extended_Pictographic}|[\u200d\ufe0f\u{1f3fb}-\u{1f3ff}\s]){1,12}$/u.test(text);
}

function follows(item, time) {
  const last = $("log").lastElementChild;
  const seconds = (at(time) - at(last?.querySelector("time")?.dateTime ?? "")) / 1000;
  return last?.dataset.thread === item.dataset.thread && seconds < TOGETHER;
}

const at = (time) => Date.parse(time.replace(" ", "T"));

function notice(text, time) {
  const item = element("li", text, "notice");
  const stamp = element("time", time.slice(11, 16));
  stamp.dateTime = time;
  item.append(stamp);
  show(item, time);
}

// --- the log ----------------------------------------------------------------------------------

let lastDay = "";
let wasAtEnd = true;

function show(item, time = "") {
  if (time && time.slice(0, 10) !== lastDay) showDay((lastDay = time.slice(0, 10)));
  const isOwn = item.classList.contains("own");
  $("log").append(item);
  while ($("log").children.length > KEPT) $("log").firstElementChild.remove();
  if (wasAtEnd || isOwn) toEnd();
  else $("below").hidden = $("below").hidden && !item.classList.contains("message");
}

function showDay(day) {
  const date = new Date(`${day}T00:00`);
  const isToday = date.toDateString() === new Date().toDateString();
  const text = isToday ? "Today" : date.toLocaleDateString([], { dateStyle: "long" });
  $("log").append(element("li", text, "day"));
}

function toEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
  $("below").hidden = true;
}

function noteScroll() {
  const { scrollTop, scrollHeight, clientHeight } = $("scroll");
  wasAtEnd = scrollHeight - scrollTop - clientHeight < 60;
  if (wasAtEnd) $("below").hidden = true;
}

const isLookedAt = () => !document.hidden && document.hasFocus();

function countUnseen(message) {
  if (message.from_client_id === me.id || isLookedAt()) return;
  unseen += 1;
  showTitle();
}

function seen() {
  if (!isLookedAt()) return;
  unseen = 0;
  showTitle();
}

function showTitle() {
  document.title = `${unseen ? `(${unseen}) ` : ""}Room ${room}`;
}

// --- who is here ------------------------------------------------------------------------------

function showPeople() {
  const others = [...people].filter(([id]) => id !== me.id);
  others.sort(([, a], [, b]) => a.localeCompare(b));
  const here = people.has(me.id) ? [[me.id, me.name], ...others] : others;
  $("people").replaceChildren(...here.map(([id, name]) => person(id, name)));
  $("count").textContent = $("count-button").textContent = people.size || "";
}

function person(id, name) {
  const button = element("button", "", "person");
  const avatar = element("span", "", "avatar");
  avatar.ariaHidden = "true";
  paint(avatar, name);
  button.type = "button";
  button.append(avatar, element("span", name, "name"));
  if (id === me.id) button.append(element("small", "you"));
  button.title = id === me.id ? "Change your name" : `Write to ${name} alone`;
  button.ariaPressed = String(id === target?.id);
  button.onclick = () => (id === me.id ? askName() : writeTo({ id, name }));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function paint(avatar, name) {
  const [first = "?"] = new Intl.Segmenter().segment(name);
  avatar.textContent = first.segment?.toUpperCase() ?? first;
  const sum = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt()) % 9973, 7);
  avatar.style.setProperty("--hue", (sum * 137.5) % 360); // the golden angle keeps near sums apart
}

function openDrawer(open) {
  document.documentElement.classList.toggle("drawer-open", open);
  $("people-button").ariaExpanded = String(open);
}

// --- what is typed ----------------------------------------------------------------------------

function writeTo(person) {
  target = person && person.id !== me.id ? person : null;
  openDrawer(false);
  showPeople();
  showTarget();
  $("input").focus();
}

/** Whoever is gone stays the target, lest what was meant for one goes to all. */
function showTarget() {
  const isGone = target && !people.has(target.id);
  $("target").hidden = !target;
  $("target-text").textContent = target && (isGone ? `${target.name} has left` : `To ${target.name} only`);
  $("composer").classList.toggle("private", Boolean(target));
  $("composer").classList.toggle("gone", Boolean(isGone));
  $("input").placeholder = target ? `Message to ${target.name}` : "Message to everyone";
}

function send() {
  const content = $("input").value.trimEnd();
  if (!content || state() !== "joined" || (target && !people.has(target.id))) return;
  const { id, name } = target ?? { id: "all", name: "all" };
  if (!connection.send({ type: "say", to_client_id: id, to_client_name: name, content })) return;
  unsent = content;
  write("");
  showEmoji(false);
}

function write(text) {
  $("input").value = text;
  fit();
}

function fit() {
  const input = $("input");
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
  if (wasAtEnd) toEnd();
}

function pressed(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
}

function showEmoji(open) {
  $("emoji").hidden = !open;
  $("emoji-button").ariaExpanded = String(open);
}

function insert(emoji) {
  const input = $("input");
  input.setRangeText(emoji, input.selectionStart, input.selectionEnd, "end");
  fit();
  if (matchMedia("(hover: hover)").matches) input.focus(); // on a phone that opens the keyboard
}

function emojiButton(emoji) {
  const button = element("button", emoji);
  button.type = "button";
  button.onclick = () => insert(emoji);
  return button;
}

// --- the name ---------------------------------------------------------------------------------

const memory = {
  get name() {
    try {
      return localStorage.getItem("chat-name") ?? "";
    } catch {
      return ""; // storage is forbidden here
    }
  },
  set name(name) {
    try {
      localStorage.setItem("chat-name", name);
    } catch {
      // it is asked for again the next time
    }
  },
};

function askName() {
  openDrawer(false);
  $("name").value = me.name;
  $("join").textContent = me.name ? "Change the name" : "Join the room";
  $("welcome").showModal();
  $("name").select();
}

function named(event) {
  event.preventDefault();
  const name = $("name").value.trim();
  if (!name) return;
  $("welcome").close();
  const isFirst = !me.name;
  me.name = memory.name = name;
  if (isFirst) connection.open();
  else login();
  $("input").focus();
}

// --- all together -----------------------------------------------------------------------------

$("room").textContent = `Room ${room}`;
$("emoji").append(...EMOJI.split(" ").map(emojiButton));
$("people-button").onclick = () => openDrawer(true);
$("drawer-close").onclick = $("backdrop").onclick = () => openDrawer(false);
$("emoji-button").onclick = () => showEmoji($("emoji").hidden);
$("target-off").onclick = () => writeTo(null);
$("below").onclick = toEnd;
$("scroll").onscroll = noteScroll;
$("input").onkeydown = pressed;
$("input").oninput = fit;
$("composer").onsubmit = (event) => {
  event.preventDefault();
  send();
};
$("welcome").oncancel = (event) => me.name || event.preventDefault();
$("welcome").firstElementChild.onsubmit = named;
addEventListener("resize", () => wasAtEnd && toEnd());
addEventListener("focus", seen);
document.addEventListener("visibilitychange", seen);
document.addEventListener("pointerdown", ({ target: at }) => at.closest("#emoji, .line") || showEmoji(false));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  showEmoji(false);
  openDrawer(false);
});

showTitle();
showTarget();
me.name = memory.name;
if (me.name) connection.open();
else askName();
