// A session with a Holdfast gateway in a web page: requests, pushes and resume over
// WebSocket, Server-Sent Events or long poll. It needs nothing but a browser, and is
// meant to be read and changed. What it says is docs/protocol.md.
//
//   import { Session } from "./browser.js";
//   const session = new Session("https://gw.example.com", {
//     token,
//     onpush: (push) => console.log(push.command, push.payload),
//   });
//   const reply = await session.request("msg.send", { to: "1002", content: "hello" });
//
// The gateway's `origins` must list where the page comes from.

// A request that failed. With gateway set it was the gateway that answered, not the
// backend: notRun then tells that the request may be sent again.
export class RequestError extends Error {
  constructor(message, { status, payload, gateway = false } = {}) {
    super(message);
    Object.assign(this, { status, payload, gateway, notRun: gateway && (status === 8 || status === 14) });
  }
}

// Session keeps one session alive for as long as the page wants it: it comes back
// after a cut, sends again what was not answered, and hands each push over once.
export class Session {
  #url;
  #options;
  #ended = null; // why, once it has
  #connection = null;
  #welcome = null; // of the session; null: the next HELLO begins a new one
  #live = false; // WELCOME has come on this connection
  #lastID = 0;
  #waiting = []; // requests that have no id yet
  #unanswered = new Map(); // by id, oldest first
  #seq = 0; // the last push received
  #acknowledged = 0;
  #ackTimer;
  #silence; // runs out when nothing has come for too long
  #failures = 0;
  #retryAfter = 0; // what a GOAWAY said, in ms

  // transport is ws (also ws-json and ws-binary, which name their subprotocol), sse
  // or poll. onstate hears "connected" (a new session: fetch what was missed),
  // "resumed" (nothing was), "cut" and "ended", with WELCOME or what CLOSE said.
  constructor(url, { token, transport = "ws", onpush = () => {}, onstate = () => {} }) {
    this.#url = url;
    this.#options = { token, transport, onpush, onstate };
    this.#connect();
  }

  // request resolves to the reply's payload and rejects with a RequestError. One
  // without a status has an unknown outcome: it may have run.
  request(command, payload) {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.push({ command, payload, resolve, reject });
      this.#send();
    });
  }

  // close ends the session on the gateway too.
  close() {
    this.#connection?.close();
    this.#end(1000, "closed by the page");
  }

  #connect() {
    const hello = { type: "hello", protocol: 1, token: this.#options.token };
    if (this.#welcome) {
      hello.resume = { session: this.#welcome.session, secret: this.#welcome.secret, seq: this.#seq };
    }
    this.#retryAfter = 0;
    const { transport } = this.#options;
    const Connection = transport.startsWith("ws") ? WebSocketConnection : HTTPConnection;
    const connection = new Connection(this.#address(), transport, hello, {
      onframe: (frame) => this.#connection === connection && this.#received(frame),
      onheard: () => this.#connection === connection && this.#heard(),
      onclose: (code, reason, wait) => this.#connection === connection && this.#closed(code, reason, wait),
    });
    this.#connection = connection;
    this.#heard();
  }

  // A session lives on one gateway: WELCOME says where that one is, if a balancer
  // stands in front. After three failures there it is the balancer's turn again.
  #address() {
    const secure = this.#url.startsWith("https:");
    const name = this.#options.transport.split("-")[0] + (secure ? "s" : "");
    const back = this.#failures < 3 && this.#welcome?.return_to?.[name];
    return back ? (secure ? "https://" : "http://") + back : this.#url;
  }

  #received(frame) {
    switch (frame.type) {
      case "welcome":
        return this.#welcomed(frame);
      case "reply":
        return this.#answered(frame);
      case "push":
        return this.#pushed(frame);
      case "ping":
        return this.#connection.send({ type: "pong", data: frame.data });
      case "goaway": // the gateway closes when the time has come
        this.#retryAfter = frame.reconnect_after_ms ?? 0;
        return;
      case "close": // the connection tells it as well, after this
    }
  }

  #welcomed(welcome) {
    if (!welcome.resumed) {
      this.#seq = this.#acknowledged = 0;
      this.#failUnanswered("the session was lost before the reply");
    }
    this.#welcome = welcome;
    this.#live = true;
    this.#failures = 0;
    this.#heard();
    for (const { frame } of this.#unanswered.values()) this.#connection.send(frame); // none is run twice
    this.#options.onstate(welcome.resumed ? "resumed" : "connected", welcome);
    this.#send();
  }

  // Requests wait while there is no connection, and beyond the window.
  #send() {
    while (this.#live && this.#waiting.length > 0 && this.#unanswered.size < this.#welcome.window) {
      const request = this.#waiting.shift();
      request.frame = { type: "request", id: ++this.#lastID, command: request.command, payload: request.payload };
      this.#unanswered.set(request.frame.id, request);
      this.#connection.send(request.frame);
    }
  }

  #answered({ id, status, gateway, ...reply }) {
    const request = this.#unanswered.get(id);
    if (!request) return; // it came twice
    this.#unanswered.delete(id);
    const payload = payloadOf(reply);
    if (status === 0) request.resolve(payload);
    else request.reject(new RequestError(`${request.command}: status ${status}`, { status, payload, gateway }));
    this.#send();
  }

  #pushed({ seq, command, ...push }) {
    if (seq > 0) {
      if (seq <= this.#seq) return; // it came twice
      this.#seq = seq;
      if (seq - this.#acknowledged >= 32) this.#acknowledge();
      else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), 500);
    }
    this.#options.onpush({ seq, command, payload: payloadOf(push) });
  }

  #acknowledge() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (!this.#live || this.#acknowledged === this.#seq) return;
    this.#acknowledged = this.#seq;
    this.#connection.send({ type: "ack", seq: this.#seq });
  }

  // A network may go without a word: then this is who notices.
  #heard() {
    clearTimeout(this.#silence);
    const { heartbeat_ms = 25000, heartbeat_timeout_ms = 8000 } = this.#welcome ?? {};
    this.#silence = setTimeout(() => {
      this.#connection.drop();
      this.#closed(1006, "nothing heard");
    }, heartbeat_ms + heartbeat_timeout_ms);
  }

  #closed(code, reason, wait = this.#retryAfter) {
    clearTimeout(this.#silence);
    this.#connection = null;
    this.#live = false;
    if (code === 1000 || code === 4009 || (code >= 4500 && code < 5000)) return this.#end(code, reason);
    if (code === 4000 || code === 4004 || code === 4010) {
      this.#welcome = null; // no resume, but a new session
      this.#failUnanswered("the session ended before the reply");
    }
    const backoff = Math.random() * Math.min(300_000, 1000 * 1.8 ** this.#failures++);
    setTimeout(() => this.#ended || this.#connect(), wait || Math.max(100, backoff));
    this.#options.onstate("cut", { code, reason });
  }

  #end(code, reason) {
    if (this.#ended) return;
    this.#ended = new RequestError(`the session has ended: ${code} ${reason}`);
    this.#connection = null;
    this.#live = false;
    clearTimeout(this.#silence);
    clearTimeout(this.#ackTimer);
    this.#failUnanswered(this.#ended.message);
    for (const request of this.#waiting.splice(0)) request.reject(this.#ended);
    this.#options.onstate("ended", { code, reason });
  }

  #failUnanswered(why) {
    for (const request of this.#unanswered.values()) request.reject(new RequestError(why));
    this.#unanswered.clear();
  }
}

// A payload that is no JSON comes as bytes.
function payloadOf({ payload, payload_base64: base64 }) {
  return base64 === undefined ? payload : Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

// A WebSocket carries a frame a message. The gateway's CLOSE is also the close code.
class WebSocketConnection {
  #socket;
  #binary;

  constructor(address, transport, hello, { onframe, onheard, onclose }) {
    const url = address.replace(/^http/, "ws") + "/v1/ws";
    const protocol = { "ws-json": "holdfast.v1.json", "ws-binary": "holdfast.v1" }[transport];
    this.#binary = transport === "ws-binary";
    this.#socket = protocol ? new WebSocket(url, protocol) : new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.send(hello);
    this.#socket.onmessage = ({ data }) => {
      onheard();
      onframe(this.#binary ? decode(data) : JSON.parse(data));
    };
    this.#socket.onclose = ({ code, reason }) => onclose(code, reason);
  }

  send(frame) {
    this.#socket.send(this.#binary ? encode(frame) : JSON.stringify(frame));
  }

  close() {
    this.#socket.close(1000);
  }

  drop() {
    this.#socket.close(); // without a code: the session can be resumed
  }
}

// Over HTTP frames come by a stream, or by calls that the gateway holds until there
// are some, and go by POST, one at a time.
class HTTPConnection {
  #address;
  #streams;
  #on;
  #bearer = "";
  #seq; // the last push and the last reply that came: the next call names them
  #reply;
  #out = []; // frames that wait for the POST under way, as text
  #posting = false;
  #calls = new AbortController();

  constructor(address, transport, hello, on) {
    this.#address = address;
    this.#streams = transport === "sse";
    this.#on = on;
    this.#seq = hello.resume?.seq ?? 0;
    this.#run(async () => {
      const welcome = await this.#call("POST", "/v1/poll", JSON.stringify(hello));
      this.#bearer = `${welcome.session}.${welcome.secret}`;
      this.#received(welcome);
      while (!this.#calls.signal.aborted) await (this.#streams ? this.#stream() : this.#poll());
    });
  }

  send(frame) {
    if (frame.type === "ack" && !this.#streams) return; // the next GET says it
    this.#out.push(JSON.stringify(frame));
    if (this.#posting) return;
    this.#posting = true;
    this.#run(async () => {
      while (this.#out.length > 0) {
        for (const f of await this.#call("POST", "/v1/poll/frames", this.#body())) this.#received(f);
      }
      this.#posting = false;
    });
  }

  // A body is at most max_frame, 64 KiB by default, and a character at most 3 bytes.
  #body() {
    const frames = this.#out.splice(0, 1);
    for (let n = frames[0].length; this.#out.length > 0; ) {
      if ((n += this.#out[0].length + 1) > 20_000) break;
      frames.push(this.#out.shift());
    }
    return `[${frames}]`;
  }

  close() {
    this.drop();
    const headers = { Authorization: `Bearer ${this.#bearer}` };
    if (this.#bearer) fetch(this.#address + "/v1/poll", { method: "DELETE", headers, keepalive: true }).catch(() => {});
  }

  drop() {
    this.#calls.abort();
  }

  async #poll() {
    const replies = this.#reply === undefined ? "" : `&replies=${this.#reply}`;
    for (const frame of await this.#call("GET", `/v1/poll?seq=${this.#seq}${replies}`)) this.#received(frame);
  }

  // A stream is a sequence of events, each a few lines and an empty one. A line that
  // begins with a colon says no more than that the gateway is there.
  async #stream() {
    const response = await this.#fetch("GET", `/v1/events?seq=${this.#seq}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      this.#on.onheard();
      const events = (text + piece.value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) this.#received(JSON.parse(data.slice("data: ".length)));
      }
    }
    throw new TypeError("the stream has ended");
  }

  #received(frame) {
    this.#on.onheard();
    if (frame.type === "push" && frame.seq > 0) this.#seq = frame.seq;
    if (frame.type === "reply") this.#reply = frame.id;
    this.#on.onframe(frame);
    if (frame.type === "close") throw new Refused(frame);
  }

  async #call(method, path, body) {
    return (await this.#fetch(method, path, body)).json();
  }

  async #fetch(method, path, body) {
    const headers = {};
    if (this.#bearer) headers.Authorization = `Bearer ${this.#bearer}`;
    if (body) headers["Content-Type"] = "application/json";
    const response = await fetch(this.#address + path, {
      method, headers, body, cache: "no-store", signal: this.#calls.signal,
    });
    if (response.ok) return response;
    const close = await response.json();
    if (close.code === 1000) throw new TypeError("the session is not there any more"); // nobody has ended this page's
    throw new Refused(close, Number(response.headers.get("Retry-After") ?? 0) * 1000);
  }

  // Whatever goes wrong ends the connection: a resume is what comes after.
  async #run(calls) {
    try {
      await calls();
    } catch (err) {
      if (this.#calls.signal.aborted) return;
      this.#calls.abort();
      if (err instanceof Refused) this.#on.onclose(err.code, err.reason, err.wait);
      else this.#on.onclose(1006, String(err));
    }
  }
}

// Refused is what a CLOSE over HTTP says. wait is in ms.
class Refused extends Error {
  constructor({ code, reason = "" }, wait) {
    super(`${code} ${reason}`);
    Object.assign(this, { code, reason, wait });
  }
}

// Binary frames, docs/protocol.md section 2: those that a page sends, and those that
// it receives.
const text = { encode: (s) => new TextEncoder().encode(s), decode: (b) => new TextDecoder().decode(b) };

function encode(frame) {
  switch (frame.type) {
    case "hello":
      return concat([0x01], text.encode(JSON.stringify(frame)));
    case "request": {
      const command = text.encode(frame.command);
      const payload = frame.payload === undefined ? "" : JSON.stringify(frame.payload);
      return concat([0x03, ...bytes(4, (v) => v.setUint32(0, frame.id)), command.length], command, text.encode(payload));
    }
    case "ack":
      return concat([0x06], bytes(8, (v) => v.setBigUint64(0, BigInt(frame.seq))));
    case "pong":
      return concat([0x08], frame.data);
  }
  throw new TypeError(`${frame.type} is not for a page to send`);
}

function decode(buffer) {
  const view = new DataView(buffer);
  const from = (at) => new Uint8Array(buffer, at);
  switch (view.getUint8(0)) {
    case 0x02:
      return { ...JSON.parse(text.decode(from(1))), type: "welcome" };
    case 0x04:
      return {
        type: "reply", id: view.getUint32(1), status: view.getUint8(5), gateway: (view.getUint8(6) & 1) === 1,
        payload: json(from(7)),
      };
    case 0x05: {
      const end = 10 + view.getUint8(9);
      const command = text.decode(new Uint8Array(buffer, 10, end - 10));
      return { type: "push", seq: Number(view.getBigUint64(1)), command, payload: json(from(end)) };
    }
    case 0x07:
      return { type: "ping", data: from(1) };
    case 0x09:
      return { ...JSON.parse(text.decode(from(1))), type: "goaway" };
    case 0x0a:
      return { type: "close", code: view.getUint16(1), reason: text.decode(from(3)) };
  }
  throw new TypeError(`frame of type ${view.getUint8(0)}`);
}

// The same as over JSON: a value, or bytes where they are no JSON.
function json(payload) {
  if (payload.length === 0) return undefined;
  try {
    return JSON.parse(text.decode(payload));
  } catch {
    return payload;
  }
}

function bytes(n, write) {
  const b = new Uint8Array(n);
  write(new DataView(b.buffer));
  return b;
}

function concat(...parts) {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
