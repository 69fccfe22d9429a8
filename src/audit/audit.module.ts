import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { AuditController } from './audit.controller';
import { AuditService } from './audit.service';

/** Reports for auditors. */
@Module({ imports: [EngineModule], controllers: [AuditController], providers: [AuditService] })
export class AuditModule {}
