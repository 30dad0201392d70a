// canary: a share of the users goes to the servers that are labelled `track = "canary"`, the rest to the others.
//
// Who is a user is said by a header. A user's hash decides the track and the server in it, so a user stays with both
// as long as the candidates stay, on every balancer of a fleet. Requests without the header are shared out one by one.
import { header } from 'lb:policy/request@0.1.0';

let name = 'x-user';
let share = 0;
let canaries = new Set(); // indices of servers
let tracks = { canary: [], stable: [] }; // indices of candidates

export const setup = {
  describe() {
    const setting = (name, kind, value, doc) =>
      ({ name, kind, default: { tag: kind, val: value }, required: false, choices: [], doc });
    return {
      name: 'canary',
      version: '1.0.0',
      summary: 'a share of the users to the servers labelled track = "canary"',
      settings: [
        setting('header', 'text', 'x-user', 'The header that says who the user is.'),
        setting('percent', 'number', 5, 'The share of users for the canaries, 0 to 100.'),
      ],
    };
  },

  configure(settings, servers) {
    const given = Object.fromEntries(settings.map(([name, value]) => [name, value.val]));
    if (!(given.percent >= 0 && given.percent <= 100)) {
      throw Object.assign(new Error(), { payload: { setting: 'percent', message: 'must be from 0 to 100' } });
    }
    name = given.header;
    share = given.percent / 100;
    const isCanary = ({ labels }) => labels.some(([key, value]) => key === 'track' && value === 'canary');
    canaries = new Set(servers.flatMap((server, index) => (isCanary(server) ? [index] : [])));
  },
};

export const balancer = {
  update(candidates) {
    tracks = { canary: [], stable: [] };
    candidates.forEach(({ server }, index) => tracks[canaries.has(server) ? 'canary' : 'stable'].push(index));
  },

  pick({ sequence }) {
    const user = header(name);
    const hash = fnv(user === undefined || user === null ? `turn ${sequence}` : `user ${user}`);
    const [wanted, other] = hash / 2 ** 32 < share ? [tracks.canary, tracks.stable] : [tracks.stable, tracks.canary];
    const track = wanted.length > 0 ? wanted : other;
    return track[fnv(`server ${hash}`) % track.length];
  },
};

// FNV-1a over UTF-16, with a last stir: its high bits alone are too regular for short keys.
function fnv(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
