import { Module } from '@nestjs/common';
import { EventsController } from './events.controller';
import { EventsService } from './events.service';

/** What has happened, and why. */
@Module({ controllers: [EventsController], providers: [EventsService] })
export class EventsModule {}
