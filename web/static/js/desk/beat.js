// A clock in a worker: browsers slow down those of pages that nobody looks at.
onmessage = (event) => {
  clearInterval(globalThis.beating);
  if (event.data) globalThis.beating = setInterval(() => postMessage("beat"), event.data);
};
