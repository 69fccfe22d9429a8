import type { RetentionRules } from '../domain/retention/retention-rules';
import type { RetentionRulesDto } from './dto/policy.dto';

/** Rules as the API shows them. */
export const presentRules = ({ policy, minAgeHours, zone, manual }: RetentionRules): RetentionRulesDto => ({
  ...policy,
  minAgeHours,
  zone,
  manual,
});
