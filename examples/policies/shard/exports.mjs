// Gives the exports the names by which the host knows them, which are no identifiers.
import { Transform } from "assemblyscript/transform";

const NAMES = {
  describe: "lb:policy/setup@0.1.0#describe",
  configure: "lb:policy/setup@0.1.0#configure",
  update: "lb:policy/balancer@0.1.0#update",
  pick: "lb:policy/balancer@0.1.0#pick",
  realloc: "cabi_realloc",
};

export default class extends Transform {
  afterCompile(module) {
    for (const [name, external] of Object.entries(NAMES)) {
      module.removeExport(name);
      module.addFunctionExport(`assembly/index/${name}`, external);
    }
    module.removeExport("abort");
  }
}
