// The unit tree as it is today, read once; units that no longer exist are fetched when met.

import { SvelteMap } from "svelte/reactivity";
import { DirectoryService, type Unit, UnitKind } from "../gen/civicmesh/identity/v1/directory_pb";
import { client } from "./api";
import { i18n } from "./i18n.svelte";
import { session } from "./session.svelte";

class Units {
  all = $state.raw<Unit[]>([]);
  #byId = new SvelteMap<string, Unit>();
  #asked = new Set<string>();
  #loading: Promise<void> | undefined;
  #former: Promise<Map<string, Unit>> | undefined;

  load(): Promise<void> {
    this.#loading ??= this.#read().catch(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  get(id: string): Unit | undefined {
    const unit = this.#byId.get(id);
    if (!unit && id && this.all.length > 0) this.#fetch(id);
    return unit;
  }

  name(id: string): string {
    const unit = this.get(id);
    return unit ? i18n.name(unit) : "…";
  }

  /** Units that have departments' or wards' work, by kind and name, for choosing; the chosen one even if it has ended. */
  choices(which: (unit: Unit) => boolean = () => true, chosen = ""): { id: string; name: string; more?: string }[] {
    const { m, f } = i18n;
    const found = this.all.filter((unit) => unit.kind !== UnitKind.COUNTRY && which(unit));
    const former = found.some((unit) => unit.id === chosen) ? undefined : this.get(chosen);
    const choice = (unit: Unit) => ({ id: unit.id, name: i18n.name(unit) });
    const ended = former ? [{ ...choice(former), more: former.validTo && m.unit.former(f.date(former.validTo)) }] : [];
    return [...ended, ...found.map(choice).sort((a, b) => this.compare(a.id, b.id))];
  }

  /** By kind and name. */
  compare(a: string, b: string): number {
    return (this.get(a)?.kind ?? 0) - (this.get(b)?.kind ?? 0) || i18n.f.collator.compare(this.name(a), this.name(b));
  }

  /** The unit and all below it. */
  below(id: string): Set<string> {
    const found = new Set([id]);
    for (let size = 0; size !== found.size; ) {
      size = found.size;
      for (const unit of this.all) if (found.has(unit.parentId)) found.add(unit.id);
    }
    return found;
  }

  /** Whether some grant of the person covers the unit: one at it or above it. */
  covered(id: string): boolean {
    const held = new Set(session.profile?.grants.map((grant) => grant.unitId));
    for (let at = id; at; at = this.#byId.get(at)?.parentId ?? "") if (held.has(at)) return true;
    return false;
  }

  /** Whether the person may see something of the unit: a grant covers it, or fields across the city. */
  visible(unit: Unit): boolean {
    return this.covered(unit.id) || session.profile?.grants.some((grant) => grant.fieldCodes.length > 0) === true;
  }

  /** Whether the unit may deal with something the person sees: what concerns a ward may be with a department. */
  dealing(unit: Unit): boolean {
    return this.visible(unit) || (this.onlyLocal && !isLocal(unit));
  }

  /** Whether something the person sees may lie in the unit: what a department deals with may lie anywhere. */
  placed(unit: Unit): boolean {
    return isLocal(unit) && (this.visible(unit) || !this.onlyLocal);
  }

  /** Whether all grants are at wards, communes and special zones, so that nothing of the whole city is read. */
  get onlyLocal(): boolean {
    const { grants = [], homeUnit } = session.profile ?? {};
    const unit = (id: string) => (id === homeUnit?.id ? homeUnit : this.#byId.get(id));
    return grants.length > 0 && grants.every((one) => one.fieldCodes.length === 0 && isLocal(unit(one.unitId)));
  }

  /** Every unit that ever was, by key. */
  former(): Promise<Map<string, Unit>> {
    this.#former ??= this.#list("all")
      .then((units) => new Map(units.map((unit) => [unit.key, unit])))
      .catch((error) => {
        this.#former = undefined;
        throw error;
      });
    return this.#former;
  }

  async #list(validOn: string): Promise<Unit[]> {
    const service = client(DirectoryService);
    const units: Unit[] = [];
    let pageToken = "";
    do {
      const page = await service.listUnits({ validOn, pageSize: 1000, pageToken });
      units.push(...page.units);
      pageToken = page.nextPageToken;
    } while (pageToken);
    return units;
  }

  async #read(): Promise<void> {
    const units = await this.#list("");
    for (const unit of units) this.#byId.set(unit.id, unit);
    this.all = units;
  }

  #fetch(id: string): void {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    client(DirectoryService)
      .getUnit({ id })
      .then((unit) => this.#byId.set(id, unit))
      .catch(() => undefined);
  }
}

export const units = new Units();

export function isLocal(unit: Unit | undefined): boolean {
  return unit !== undefined && [UnitKind.WARD, UnitKind.COMMUNE, UnitKind.SPECIAL_ZONE].includes(unit.kind);
}
