// {{name}}: each candidate in its turn, beginning with the one that the setting `first` says.
//
// What the host offers is imported by name, for example
//     import { header } from 'lb:policy/request@0.1.0';

let first = 0;
let count = 0;

export const setup = {
  describe() {
    return {
      name: '{{name}}',
      version: '0.1.0',
      summary: 'each server in its turn',
      settings: [
        {
          name: 'first',
          kind: 'integer',
          default: { tag: 'integer', val: 0 },
          required: false,
          choices: [],
          doc: 'Which server is the first to be picked, counted from 0.',
        },
      ],
    };
  },

  // `settings` is a list of pairs, each a name and a value such as { tag: 'integer', val: 3 }.
  configure(settings, servers) {
    for (const [name, value] of settings) {
      if (name === 'first') {
        if (value.val < 0) throw refusal('first', 'must be 0 or more');
        first = value.val;
      }
    }
  },
};

// What is thrown by a function that answers a `result` is its error, where it has a payload; else it is a failure.
function refusal(setting, message) {
  return Object.assign(new Error(message), { payload: { setting, message } });
}

export const balancer = {
  update(candidates) {
    count = candidates.length;
  },

  // An answer of undefined passes to the next policy. 64-bit numbers arrive as plain ones, and those of 2^63 and above as
  // negative; in other engines they arrive as BigInts.
  pick({ sequence }) {
    if (count === 0) return undefined;
    const turn = BigInt.asUintN(64, BigInt(sequence)) + BigInt(first);
    return Number(turn % BigInt(count));
  },
};
