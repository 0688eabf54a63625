/* Pushline for browsers: docs/browsers.md
 *
 * One timer runs until "closed"; `status` says for what: "connecting": the end of patience,
 * "open": the next heartbeat, "waiting": the next attempt.
 * Handlers come last in each step: one that closes breaks nothing.
 */
globalThis.Pushline = class Pushline {
  // Options' defaults; times in ms.
  url = globalThis.location?.origin.replace("http", "ws");
  heartbeat = 20e3; // before the server pings (25 s)
  asleep = 90e3; // longer is sleep; hidden pages' timers run once a minute
  timeout = 10e3; // of connect and login; ends before the server's, whose 3502 is final
  base = 1e3; // full jitter: random() * min(cap, base * 2 ** failures)
  cap = 30e3;
  random = Math.random;
  now = Date.now; // goes on in sleep, unlike performance.now

  status = "connecting";
  #events = new EventTarget(); // report what handlers throw
  #failures = 0; // since the last heartbeat
  #socket;
  #timer;
  #beaten; // when the last heartbeat was due

  constructor(options) {
    for (const key in options) if (options[key] !== undefined) this[key] = options[key];
    if (this.uid == null && !this.login) throw new TypeError("Pushline needs a uid");
    this.#connect(); // throws at a bad url
    this.#listen("add");
  }

  on(name, handler) {
    this.#events.addEventListener(name, ({ detail }) => handler(...detail));
    return this;
  }

  // False when not connected: nothing is queued.
  send(text) {
    const open = this.status === "open";
    if (open) this.#socket.send(text);
    return open;
  }

  close() {
    if (this.status !== "closed") this.#end(1000, "");
  }

  #connect = () => {
    const socket = (this.#socket = new WebSocket(this.url));
    socket.onopen = () =>
      this.#loginText().then(
        (text) => socket.onclose && this.#login(text), // else dropped meanwhile
        (error) => socket.onclose && this.#lost(1006, `no login: ${error}`),
      );
    socket.onmessage = ({ data }) => {
      let value = data;
      try {
        value = JSON.parse(data);
      } catch {}
      this.#emit("message", value, data);
    };
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    this.#after(this.timeout, () => this.#lost(1006, "timeout"));
    this.#become("connecting");
  };

  async #loginText() {
    const { login, uid, utype, token } = this;
    const ask = (value) => (value.call ? value() : value);
    if (login) return ask(login);
    if (token) return JSON.stringify({ uid, utype, checkToken: await ask(token) });
    // Bare, unless it looks like an object.
    return utype == null && !/^\s*{/.test(uid) ? `${uid}` : JSON.stringify({ uid, utype });
  }

  #login(text) {
    this.#socket.send(text);
    this.#rest();
    this.#become("open", "open");
  }

  // A server that has dropped us resets the connection.
  #beat = () => {
    this.#socket.send('{"data":"heartbeat"}');
    this.#failures = 0;
    if (this.now() - this.#beaten > this.asleep)
      // Given up; what had come is handed over first.
      return this.#after(1e3, () => this.#lost(1006, "asleep"));
    this.#rest();
  };

  #rest() {
    this.#beaten = this.now();
    this.#after(this.heartbeat, this.#beat);
  }

  #wake = ({ type }) => {
    const waits = this.status === "waiting";
    // A page kept for the way back would stay online.
    if (type === "pagehide") return waits || this.#lost(1006, "hidden", 0);
    const online = type === "online";
    if (globalThis.document?.hidden && !online) return;
    if (waits) this.#after(this.random() * this.base, this.#connect);
    if (this.status !== "open") return;
    if (online) this.#beaten = -Infinity; // by another network
    this.#beat();
  };

  #lost(code, reason, failed = 1) {
    if (code >= 3500 && code < 4000) return this.#end(code, reason);
    const delay = this.random() * Math.min(this.cap, this.base * 2 ** this.#failures);
    this.#failures += failed;
    this.#drop();
    this.#after(delay, this.#connect);
    this.#become("waiting", "close", { code, reason, willReconnect: true, delay });
  }

  #end(code, reason) {
    this.#drop();
    this.#listen("remove");
    this.#become("closed", "close", { code, reason, willReconnect: false, delay: 0 });
  }

  // Nobody waits for a dead socket to close.
  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #after(delay, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, delay);
  }

  #listen(verb) {
    for (const name of ["online", "pagehide", "pageshow", "visibilitychange"])
      globalThis[`${verb}EventListener`]?.(name, this.#wake);
  }

  #become(status, event, detail) {
    this.status = status;
    this.#emit(event, detail);
    if (this.status === status) this.#emit("status", status); // else a handler closed it
  }

  #emit(name, ...detail) {
    this.#events.dispatchEvent(new CustomEvent(name, { detail }));
  }
};
