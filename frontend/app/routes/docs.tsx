import { useEffect, useRef } from "react";
import { useHref } from "react-router";
import notice from "swagger-ui-dist/NOTICE?url&no-inline";
import "swagger-ui-dist/swagger-ui.css";
import licences from "swagger-ui-dist/swagger-ui-es-bundle.js.LICENSE.txt?url&no-inline";
import "../docs/viewer.css";

export const meta = () => [{ title: "Rowcast: HTTP API" }];

/** The gateway's OpenAPI document in a viewer that loads nothing from other hosts. */
export default function Docs() {
  const openapi = useHref("/openapi.json");
  const container = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let shown = true;
    import("swagger-ui-dist/swagger-ui-es-bundle.js").then(({ default: show }) => {
      if (!shown) return;
      show({ domNode: container.current, url: openapi, validatorUrl: null, deepLinking: true });
    });
    return () => {
      shown = false;
    };
  }, [openapi]);
  return (
    <main>
      <p className="text-sm">
        <a className="text-accent underline" href={useHref("/")}>
          Real-time Sensor Data
        </a>
        {" · HTTP API: "}
        <a className="text-accent underline" href={openapi}>
          openapi.json
        </a>
        {" · sockets and event streams: "}
        <a className="text-accent underline" href={useHref("/asyncapi.json")}>
          asyncapi.json
        </a>
      </p>
      <div ref={container} data-testid="viewer" className="mt-6" />
      <p className="mt-6 text-sm">
        {"The viewer is Swagger UI, Apache-2.0: "}
        <a className="text-accent underline" href={notice}>
          notice
        </a>
        {", "}
        <a className="text-accent underline" href={licences}>
          licences of its parts
        </a>
      </p>
    </main>
  );
}
