// What the tests have a page do.
import { Session } from "/browser.js";

const sessions = {};

export const drive = {
  // open begins a session by each transport and resolves when all are connected.
  open(url, user, transports) {
    return Promise.all(transports.map((transport) => new Promise((resolve) => {
      const log = { states: [], pushes: [], transient: [], replies: [], errors: [], welcome: null };
      log.session = new Session(url, {
        token: `${user}-${transport}`,
        transport,
        onpush: ({ seq, payload }) => (seq > 0 ? log.pushes : log.transient).push(payload.n),
        onstate: (state, detail) => {
          log.states.push(state);
          if (detail.session) log.welcome = { uid: detail.uid, session: detail.session };
          else log.ended = detail;
          resolve(state);
        },
      });
      sessions[transport] = log;
    })));
  },

  // ask sends the same request on each and resolves to the replies or failures.
  ask(command, payload) {
    return Promise.all(Object.values(sessions).map(({ session }) =>
      session.request(command, payload).then((value) => ({ value }), (err) => ({ ...err, message: err.message }))));
  },

  // work sends many requests on each without waiting; report tells of the answers.
  work(count, ms) {
    for (const log of Object.values(sessions)) {
      for (let n = 0; n < count; n++) {
        log.session.request("msg.run", { n, ms }).then((p) => log.replies.push(p.n), (err) => log.errors.push(err.message));
      }
    }
  },

  report() {
    return Object.fromEntries(Object.entries(sessions).map(([name, { session, ...log }]) => [name, log]));
  },

  // hold keeps back what the page GETs, as a computer that sleeps, until release.
  hold() {
    const real = window.fetch;
    const gate = new Promise((resolve) => {
      drive.release = () => {
        window.fetch = real;
        resolve();
      };
    });
    window.fetch = async (url, options) => {
      if (options.method === "GET") await gate;
      return real(url, options);
    };
  },

  close() {
    for (const { session } of Object.values(sessions)) session.close();
  },

  // socket opens a WebSocket, sends messages and tells what the browser says of its
  // end. A message { close: [code, reason] } closes it from here.
  socket(url, protocols, messages) {
    return new Promise((resolve) => {
      const socket = protocols ? new WebSocket(url, protocols) : new WebSocket(url);
      const got = { opened: false, protocol: "", failed: false, frames: [] };
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        Object.assign(got, { opened: true, protocol: socket.protocol });
        for (const message of messages) {
          if (message.close) socket.close(...message.close);
          else if (message.binary) socket.send(Uint8Array.from(message.binary));
          else if (message.long) socket.send(JSON.stringify("x".repeat(message.long)));
          else socket.send(message.text);
        }
      };
      socket.onmessage = ({ data }) => got.frames.push(typeof data === "string" ? JSON.parse(data).type : `0x0${new Uint8Array(data)[0].toString(16)}`);
      socket.onerror = () => (got.failed = true);
      socket.onclose = ({ code, reason, wasClean }) => resolve({ ...got, code, reason, wasClean });
    });
  },

  // call makes one call and tells what a page may see of the answer.
  async call(url, options) {
    try {
      const response = await fetch(url, options);
      const body = await response.text();
      return { status: response.status, type: response.type, retryAfter: response.headers.get("Retry-After"), body };
    } catch (err) {
      return { failed: String(err) };
    }
  },

  // nowhere runs a script in a frame that has no origin and resolves to what it posts.
  nowhere(script) {
    return new Promise((resolve) => {
      addEventListener("message", ({ data }) => resolve(data), { once: true });
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts";
      frame.srcdoc = `<script>${script}</` + "script>";
      document.body.append(frame);
    });
  },
};
