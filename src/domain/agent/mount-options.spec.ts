import fc from 'fast-check';
import { mountOptionNames, partMountOptions } from './mount-options';

describe('partMountOptions', () => {
  it.each([
    ['', '', null, []],
    ['vers=4.2,soft', 'vers=4.2,soft', null, []],
    ['user,noexec', 'user,noexec', null, []],
    ['username=bob,password=hunter2,vers=3.0', 'vers=3.0', { username: 'bob', password: 'hunter2' }, []],
    ['user=bob,pass=a=b,dom=CORP', '', { username: 'bob', password: 'a=b', domain: 'CORP' }, []],
    ['USERNAME=bob, password=x', '', { username: 'bob', password: 'x' }, []],
    ['workgroup=W,sec=krb5', 'sec=krb5', { domain: 'W' }, []],
    ['name=admin,secret=AQB==,noatime', 'name=admin,noatime', null, ['secret=AQB==']],
    ['credentials=/etc/cred,ro', 'ro', null, ['credentials=/etc/cred']],
    [
      'password2=x,cred=/a,secretfile=/b,my_passphrase=y,token=z',
      '',
      null,
      ['password2=x', 'cred=/a', 'secretfile=/b', 'my_passphrase=y', 'token=z'],
    ],
    ['key=k,keyfile=f,noatime,keyring=r', 'noatime,keyring=r', null, ['key=k', 'keyfile=f']],
    // What follows a secret and is no option may be the rest of it.
    ['password=hunter,2=x,soft,nosuch', 'soft,nosuch', { password: 'hunter' }, ['2=x']],
    ['secret=a,b,c==,noatime', 'noatime', null, ['secret=a', 'b', 'c==']],
    ['username=bob,nosuch', 'nosuch', { username: 'bob' }, []],
    [',,soft,', 'soft', null, []],
    ['password', '', null, ['password']],
    ['constructor=x,__proto__=y', 'constructor=x,__proto__=y', null, []],
  ])('parts %j', (options, open, credentials, secret) => {
    expect(partMountOptions(options)).toEqual({ open, credentials, secret });
  });

  it('shows names, and of what may be the rest of a secret not even that', () => {
    expect(mountOptionNames('vers=3.1.1,username=bob,password=hunter,2,x=y,soft,secret=k')).toEqual(
      ['vers', 'username', 'password', 'soft', 'secret'], // prettier-ignore
    );
    expect(mountOptionNames('')).toEqual([]);
  });

  it('never leaves a password among the open options, and loses no option', () => {
    const plain = fc.constantFrom('soft', 'ro', 'vers=4.2', 'timeo=50', 'sec=sys');
    const secret = fc.constantFrom('password=hunter2', 'pass=hunter2', 'secret=hunter2', 'PASSWORD=hunter2', 'password2=hunter2');
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, secret)), (options) => {
        const { open } = partMountOptions(options.join(','));
        expect(open).toBe(options.filter((option) => !option.includes('hunter2')).join(','));
      }),
    );
  });
});
