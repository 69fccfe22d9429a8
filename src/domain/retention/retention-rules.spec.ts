import { NO_COUNTS, NO_WISH, settleRules } from './retention-rules';

describe('settleRules', () => {
  const offering = { ...NO_WISH, keepDaily: 7, minAgeHours: 12, zone: 'Europe/Berlin', manual: true };

  it('keeps nothing by a rule where nobody says anything, so nothing goes', () => {
    expect(settleRules(null, null)).toEqual({ policy: NO_COUNTS, minAgeHours: 0, zone: 'UTC', manual: false });
  });

  it('goes rule by rule: the VM’s own, else the offering’s', () => {
    const vm = { ...NO_WISH, keepLast: 3, zone: 'Asia/Tokyo' };
    expect(settleRules(vm, offering)).toEqual({
      policy: { ...NO_COUNTS, keepLast: 3, keepDaily: 7 },
      ...{ minAgeHours: 12, zone: 'Asia/Tokyo', manual: true },
    });
  });

  it('takes a 0 and a no of the VM for what they are', () => {
    const vm = { ...NO_WISH, keepDaily: 0, minAgeHours: 0, manual: false };
    expect(settleRules(vm, offering)).toEqual({
      policy: NO_COUNTS,
      ...{ minAgeHours: 0, zone: 'Europe/Berlin', manual: false },
    });
  });
});
