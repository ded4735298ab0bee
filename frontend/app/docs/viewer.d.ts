declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  export default function show(options: {
    domNode: HTMLElement | null;
    url: string;
    validatorUrl: null;
    deepLinking: boolean;
  }): void;
}
