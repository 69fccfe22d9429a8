import { DefaultNamingStrategy, type NamingStrategyInterface } from 'typeorm';

/** `backupOfferingId` is the column `backup_offering_id`, as in CloudStack's tables. */
export class SnakeNaming extends DefaultNamingStrategy implements NamingStrategyInterface {
  override columnName(propertyName: string, customName: string | undefined): string {
    return customName ?? propertyName.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }
}
