import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { VERSION } from './version';

/** The OpenAPI description of the REST API, from the controllers and the comments of the DTOs. */
export function openApi(app: INestApplication): OpenAPIObject {
  const head = new DocumentBuilder()
    .setTitle('Chainkeeper')
    .setDescription(
      'Incremental backups of KVM virtual machines to NAS storage, and the books on their chains. Errors are RFC 9457 problem details with a stable `code`; bytes are integers, times RFC 3339 UTC.',
    )
    .setVersion(VERSION)
    .addBearerAuth()
    .build();
  return SwaggerModule.createDocument(app, head);
}

/** Serves the description at /api/docs, the JSON of it at /api/docs-json. */
export const serveOpenApi = (app: INestApplication): void => SwaggerModule.setup('api/docs', app, () => openApi(app));
