// An agent's telephone as a page: what the tests drive. Everything hangs off window.phone.
import JsSIP from "jssip";

const phone = { heard: [], ended: null, session: null, agent: null, microphone: null };

// Microphone and SIP; once. A pure tone is noise to a browser: it must not be taken out.
phone.open = async ({ ws, user, password, host }) => {
  phone.microphone = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  phone.agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(ws)],
    uri: `sip:${user}@${host}`,
    authorization_user: user,
    password,
    register: false,
    session_timers: false,
  });
  const connected = new Promise((done, failed) => {
    phone.agent.once("connected", done);
    phone.agent.once("disconnected", (event) => failed(new Error(`no websocket: ${event.reason}`)));
  });
  phone.agent.start();
  await connected;
  phone.host = host;
};

// Calls; when the far end has answered and sound may come: how many ms that took.
phone.call = async (number, tones) => {
  phone.ended = null;
  const begun = performance.now();
  const answered = new Promise((done, failed) => {
    const session = phone.agent.call(`sip:${number}@${phone.host}`, {
      mediaStream: phone.microphone,
      pcConfig: { iceServers: [] },
      rtcOfferConstraints: { offerToReceiveAudio: true, offerToReceiveVideo: false },
      eventHandlers: {
        confirmed: () => done(performance.now() - begun),
        failed: (event) => {
          phone.ended = String(event.cause);
          failed(new Error(`refused: ${event.cause} ${event.message?.status_code ?? ""}`));
        },
        ended: (event) => {
          phone.ended = String(event.cause);
        },
        // The first candidate will do, there is only this machine and Asterisk's.
        icecandidate: (event) => event.ready(),
      },
    });
    phone.session = session;
    session.connection.addEventListener("track", (event) => listen(event.streams[0], tones));
  });
  return answered;
};

const listen = async (stream, tones) => {
  // Chromium gives a far stream's sound to nobody unless an element plays it.
  document.getElementById("far").srcObject = stream;
  const context = new AudioContext({ sampleRate: 48000 });
  await context.audioWorklet.addModule("meter.js");
  const meter = new AudioWorkletNode(context, "meter", { processorOptions: { tones } });
  meter.port.onmessage = (event) => phone.heard.push(event.data);
  context.createMediaStreamSource(stream).connect(meter);
};

phone.hangUp = () => phone.session.terminate();
phone.mute = () => phone.session.mute({ audio: true });
phone.press = (keys) => phone.session.sendDTMF(keys);

// Of what came in: packets, and the codec's name.
phone.received = async () => {
  const report = await phone.session.connection.getStats();
  for (const one of report.values()) {
    if (one.type === "inbound-rtp") {
      return { packets: one.packetsReceived, lost: one.packetsLost, codec: report.get(one.codecId)?.mimeType };
    }
  }
  return null;
};

window.phone = phone;
