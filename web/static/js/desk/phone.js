// The line to Asterisk: WebRTC over its websocket. A token lets one call in, once.

import { at, show } from "./page.js";
import { wishes } from "./meter.js";

const GATHERED_MS = 200;
const ANSWER_MS = 10_000;

export class Phone {
  // ``ended``: a call that was up is over, or could not be made good.
  constructor(ended) {
    this.onEnded = ended;
    this.agent = null;
    this.session = null;
    this.microphone = null;
  }

  get up() {
    return this.session?.isEstablished() ?? false;
  }

  // Calls ``sip.url``; ends when it was answered. Throws where that failed.
  async call(sip) {
    await this.openMicrophone();
    await this.connect(sip);
    this.forget();
    await this.dial(sip);
  }

  async openMicrophone() {
    const live = this.microphone?.getAudioTracks().some((one) => one.readyState === "live");
    if (!live) this.microphone = await navigator.mediaDevices.getUserMedia(wishes());
  }

  async connect(sip) {
    if (this.agent?.isConnected()) return;
    this.agent?.stop();
    const host = sip.url.slice(sip.url.lastIndexOf("@") + 1);
    this.agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(sip.ws)],
      uri: `sip:${sip.user}@${host}`,
      authorization_user: sip.user,
      password: sip.password,
      register: false,
      session_timers: false,
    });
    const connected = new Promise((done, failed) => {
      this.agent.once("connected", done);
      this.agent.once("disconnected", () => failed(new Error("no websocket")));
    });
    this.agent.start();
    await connected;
  }

  dial(sip) {
    return new Promise((done, failed) => {
      const late = setTimeout(() => this.forget(), ANSWER_MS);
      let answered = false;
      const over = (event) => {
        clearTimeout(late);
        if (this.session === session) this.session = null;
        if (answered) this.onEnded(String(event.cause));
        else failed(new Error(String(event.cause)));
      };
      const session = this.agent.call(sip.url, {
        mediaStream: this.microphone,
        pcConfig: { iceServers: [] },
        rtcOfferConstraints: { offerToReceiveAudio: true, offerToReceiveVideo: false },
        eventHandlers: {
          confirmed: () => { clearTimeout(late); answered = true; done(); },
          failed: over,
          ended: over,
          // No STUN: addresses of this machine are all there are, and found at once.
          icecandidate: (event) => setTimeout(event.ready, GATHERED_MS),
        },
      });
      this.session = session;
      session.connection.addEventListener("track", (event) => this.play(event.streams[0]));
    });
  }

  play(stream) {
    const far = at("far");
    far.srcObject = stream;
    // Where the browser wants a click first, there is a button for it.
    far.play().then(() => show("hear", false), () => { show("incoming"); show("hear"); });
  }

  hangUp() {
    const session = this.session;
    this.session = null;
    if (session && !session.isEnded()) session.terminate();
  }

  // The same, and nobody is told: another takes its place.
  forget() {
    const session = this.session;
    this.session = null;
    if (!session) return;
    session.removeAllListeners("ended");
    if (!session.isEnded()) session.terminate();
  }

  close() {
    this.forget();
    this.agent?.stop();
    this.agent = null;
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.microphone = null;
    at("far").srcObject = null;
  }
}
