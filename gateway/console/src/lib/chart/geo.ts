// Boundaries of the city's units, read once, and where things lie on the map.

import { type GeoPath, geoIdentity, geoPath } from "d3-geo";
import type { FeatureCollection, MultiPolygon, Polygon } from "geojson";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";

interface Properties {
  code: string;
  name?: string;
  name_vi?: string;
  name_en?: string;
}

type Shapes = FeatureCollection<Polygon | MultiPolygon, Properties>;

export interface Area {
  code: string;
  name: string;
  nameEn: string;
  /** The outline in the map's own pixels. */
  path: string;
  /** A point inside, in degrees. */
  centre: [number, number];
}

export interface Layout {
  width: number;
  height: number;
  areas: Area[];
  project: (place: [number, number]) => [number, number];
  unproject: (at: [number, number]) => [number, number];
}

const LAYOUT = "/geo/units-2025-07.topojson";
let reading: Promise<Layout> | undefined;

export function loadLayout(): Promise<Layout> {
  reading ??= read().catch((error) => {
    reading = undefined;
    throw error;
  });
  return reading;
}

async function read(): Promise<Layout> {
  const answer = await fetch(LAYOUT);
  if (!answer.ok) throw new Error(`${LAYOUT}: ${answer.status}`);
  const topology: Topology = await answer.json();
  const object = Object.values(topology.objects)[0] as GeometryCollection<Properties>;
  return layOut(feature(topology, object) as Shapes);
}

/** Fits the mainland into the frame; islands far away keep their place on the same projection, reached by panning. */
export function layOut(shapes: Shapes): Layout {
  const flat = geoPath();
  const centres = shapes.features.map((one) => flat.centroid(one));
  const middle = (axis: 0 | 1) => centres.map((centre) => centre[axis]).sort((a, b) => a - b)[centres.length >> 1] ?? 0;
  const [x0, y0] = [middle(0), middle(1)];
  const near = shapes.features.filter(
    (_, i) => Math.hypot((centres[i]?.[0] ?? 0) - x0, (centres[i]?.[1] ?? 0) - y0) < 1,
  );
  const width = 720;
  const height = 720;
  const projection = geoIdentity()
    .reflectY(true)
    .fitExtent(
      [
        [12, 12],
        [width - 12, height - 12],
      ],
      { type: "FeatureCollection", features: near },
    );
  const path: GeoPath = geoPath(projection).digits(1);
  return {
    width,
    height,
    project: (place) => projection(place) ?? [0, 0],
    unproject: (at) => projection.invert?.(at) ?? [0, 0],
    areas: shapes.features.map((one, i) => ({
      code: one.properties.code,
      name: one.properties.name_vi ?? one.properties.name ?? one.properties.code,
      nameEn: one.properties.name_en ?? one.properties.name ?? one.properties.code,
      path: path(one) ?? "",
      centre: centres[i] ?? [0, 0],
    })),
  };
}
