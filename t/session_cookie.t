# session_store cookie: all of a session in sealed cookies, and who was signed out stays out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $secret = 'a cookie secret of more than thirty-two bytes';
my $name = 'NGX_OIDC_SESSION';
my $op = OIDC::Provider->new(tls => 0);
my $cookie_store = "session_store cookie; cookie_secret \"$secret\"; logout_uri /logout;";
sub start {
    my ($more, %option) = @_;
    return site(op => $op, %option, provider => "$cookie_store " . ($more // ''));
}
# The session's cookies of a browser, by name.
sub parts {
    my ($who) = @_;
    return map { $_->{name} => $_->{value} } grep { $_->{name} =~ /^\Q$name\E(?:\.\d)?$/ } @{ $who->cookies->{cookies} };
}
# A browser with nothing but these.
sub bearer {
    my ($who, %cookies) = @_;
    my $other = $who->fresh;
    $other->cookies->put($_, $cookies{$_}) for keys %cookies;
    return $other;
}

# ---- one cookie ----

{
    my ($ngx, undef, $who) = start();
    my $answer = $who->login('/app');
    is $answer->status, 200, 'signed in';
    like $answer->body, qr/^sub=\w+/m, 'a claim reaches the application';
    unlike $answer->body, qr/$name/, 'the cookie does not';
    my %cookies = parts($who);
    is join(' ', keys %cookies), $name, 'one cookie';
    cmp_ok length $cookies{$name}, '<', 2000, 'of a small session';
    is bearer($who, %cookies)->get('/app')->status, 200, 'it is all that a session takes';
    $ngx->end_process('QUIT');
    $ngx->start;
    is $who->get('/app')->status, 200, 'and a restart does not end it';
    my %before = parts($who);
    $who->get('/logout', site => 'same-origin');
    ok !%{ { parts($who) } }, 'signed out: the cookie is deleted';
    isnt bearer($who, %before)->get('/app')->status, 200, 'and a copy of it is of no use';
    $ngx->stop;
}

# ---- several ----

{
    my ($ngx, undef, $who) = start('session_keep claims=' . join(',', 'sub', map { "claim$_" } 1 .. 9) . ';', server => 'large_client_header_buffers 4 32k;');
    my %big = map { ("claim$_" => join '', map { chr(97 + rand 26) } 1 .. 900) } 1 .. 8;
    $op->with(claims => \%big, sub { is $who->login('/app')->status, 200, 'signed in with 7 KB of claims' });
    my %cookies = parts($who);
    is join(' ', sort keys %cookies), "$name $name.1 $name.2", 'three cookies';
    my $answer = $who->get('/app');
    is $answer->status, 200, 'let in';
    unlike $answer->body, qr/$name/, 'none of them reaches the application';
    for my $part (keys %cookies) {
        my %some = %cookies;
        delete $some{$part};
        isnt bearer($who, %some)->get('/app')->status, 200, "not without $part";
    }
    $who->login('/oidc_login?return_to=/app');
    is join(' ', keys %{ { parts($who) } }), $name, 'a smaller session: the stale ones go';
    $op->with(claims => \%big, sub { $who->login('/oidc_login?return_to=/app') });
    is scalar(keys %{ { parts($who) } }), 3, 'and come back';
    $who->get('/logout', site => 'same-origin');
    ok !%{ { parts($who) } }, 'signed out: all are deleted';
    $ngx->stop;
}

# ---- tampering ----

# How many of these are let in. A path where nobody is sent to sign in: nothing but the status counts.
sub let_in {
    my ($who, @jars) = @_;
    return scalar grep { bearer($who, %$_)->get('/app', kind => 'none')->status == 200 } @jars;
}
sub with { my ($cookies, %other) = @_; my %all = (%$cookies, %other); delete $all{$_} for grep { !defined $all{$_} } keys %all; return \%all }
sub flipped { my ($value, $at) = @_; substr($value, $at, 1) ^= "\1"; return $value }

{
    my ($ngx, undef, $who) = start();
    $who->login('/app');
    my %cookies = parts($who);
    my $value = $cookies{$name};
    my $digits = 'A-Za-z0-9_-';
    is let_in($who, \%cookies), 1, 'as it was given';
    is let_in($who, map { with(\%cookies, $name => flipped($value, $_)) } 0 .. length($value) - 1), 0, 'no byte can be changed';
    is let_in($who, map { with(\%cookies, $name => substr $value, 0, $_) } 1 .. length($value) - 1), 0, 'nothing can be cut off';
    is let_in($who, map { with(\%cookies, $name => $value . $_) } 'A', '=', 'AAAA', $value, '.'), 0, 'nothing can be added';
    is let_in($who, map { with(\%cookies, $name => $_ . substr $value, 1) } 0, 2 .. 9, 'A'), 0, 'nor is another number of chunks believed';
    is let_in($who, map { with({}, "$name.1" => $value, $name => $_) } '1', '2', substr($value, 0, 60), '2' . substr($value, 1)), 0, 'and no chunk is a session';
    $ngx->stop;
}
{
    my $conf = 'session_keep claims=' . join(',', 'sub', map { "claim$_" } 1 .. 8) . ';';
    my ($ngx, undef, $who) = start($conf, server => 'large_client_header_buffers 4 32k;');
    my $sign_in = sub {
        my $one = $who->fresh;
        my %big = map { ("claim$_" => join '', map { chr(97 + rand 26) } 1 .. 900) } 1 .. 8;
        $op->with(claims => \%big, sub { $one->login('/app') });
        return { parts($one) };
    };
    my ($mine, $other) = ($sign_in->(), $sign_in->());
    my @names = ($name, "$name.1", "$name.2");
    is let_in($who, $mine, $other), 2, 'two sessions in three cookies each';
    is let_in($who, map { my $part = $_; map { with($mine, $part => flipped($mine->{$part}, $_ * 97 % length $mine->{$part})) } 0 .. 60 } @names), 0, 'no byte of any can be changed';
    is let_in($who, map { my $part = $_; map { with($mine, $part => substr $mine->{$part}, 0, $_ * 61) } 0 .. length($mine->{$part}) / 61 - 1 } @names), 0, 'nothing can be cut off';
    is let_in($who, map { with($mine, $_ => undef) } @names), 0, 'none can be left out';
    is let_in($who, map { with($mine, $_ => $other->{$_}) } @names), 0, 'none can come from another session';
    my @swaps = ([0, 1], [0, 2], [1, 2]);
    is let_in($who, map { with($mine, $names[$$_[0]] => $mine->{ $names[$$_[1]] }, $names[$$_[1]] => $mine->{ $names[$$_[0]] }) } @swaps), 0, 'none can change places';
    is let_in($who, map { (with($mine, $names[$$_[0]] => $mine->{ $names[$$_[1]] }), with($mine, $names[$$_[1]] => $mine->{ $names[$$_[0]] })) } @swaps), 0, 'none can stand there twice';
    is let_in($who, map { with($mine, $_ => $mine->{$_} x 2) } @names), 0, 'nor be doubled';

    # The browser of somebody whom a neighbouring host gave cookies too.
    my $line = sub { return join '; ', map { my $one = $_; map { "$_=$one->{$_}" } grep { defined $one->{$_} } @names } @_ };
    my $raw = sub { return $who->fresh->get('/app', kind => 'none', headers => { Cookie => $line->(@_) })->status };
    is $raw->({ $name => '1' . 'A' x 100 }, $mine), 200, 'a planted cookie of no use does not keep the real one out';
    is $raw->({ "$name.1" => $other->{"$name.1"}, "$name.2" => 'x' x 3000 }, $mine), 200, 'nor do planted chunks';
    is $raw->($mine, $mine), 200, 'twice the same is one session';
    my $else = $who->fresh;
    $op->with(claims => { sub => 'mallory' }, sub { $else->login('/app') });
    isnt $raw->($mine, { parts($else) }), 200, 'two sessions of different users: neither';
    is scalar(() = $ngx->error_log =~ /two sessions of different users came under the cookie name/g), 1, 'and one line in the log';
    $ngx->stop;
}
{
    my $more = provider_conf($op, name => 'other', provider => "session_store cookie; cookie_secret \"$secret\"; client_id elsewhere; cookie_name OTHER; redirect_uri /other;") =~ s/client_id "[^"]*";//r;
    my ($ngx, undef, $who) = start('', http => $more . provider_conf($op, name => 'twin', provider => "session_store cookie; cookie_secret \"$secret\"; cookie_name TWIN; redirect_uri /twin;"),
        server => 'location /at_other { auth_oidc other; auth_oidc_anonymous deny; root %%DIR%%; } location /at_twin { auth_oidc twin; auth_oidc_anonymous deny; root %%DIR%%; }');
    $ngx->write_file($_, "file\n") for 'at_other', 'at_twin';
    $who->login('/app');
    my ($value) = values %{ { parts($who) } };
    is bearer($who, OTHER => $value)->get('/at_other')->status, 401, 'not at another provider';
    is bearer($who, TWIN => $value)->get('/at_twin')->status, 401, 'nor under another name';
    $ngx->stop;
    my ($there, undef, $stranger) = site(op => $op, provider => 'session_store cookie; cookie_secret "another secret of more than thirty-two bytes";');
    isnt bearer($stranger, $name => $value)->get('/app')->status, 200, 'nor at a server with another secret';
    $there->stop;
    my ($moved, undef, $again) = site(op => $op, provider => "session_store cookie; cookie_secret \"$secret\"; cookie_name MOVED;");
    isnt bearer($again, MOVED => $value)->get('/app')->status, 200, 'nor under a new name of the same';
    $moved->stop;
    my ($after, undef, $same) = site(op => $op, provider => "session_store cookie; cookie_secret \"a new secret of more than thirty-two bytes....\"; cookie_secret \"$secret\";");
    is bearer($same, $name => $value)->get('/app')->status, 200, 'but where the secret is the second one';
    $after->stop;
}

# ---- too large ----

{
    my ($ngx, undef, $who) = start('session_keep claims=sub,big,small;', server => 'large_client_header_buffers 4 32k;');
    my $answer;
    $op->with(claims => { big => 'b' x 20_000, small => 's' x 50 }, sub { $answer = $who->login('/app') });
    is $answer->status, 500, 'more than four cookies: the login fails';
    like $answer->body, qr/Your account brings more along than this site can keep of a sign-in/, 'with a page that says so';
    ok !%{ { parts($who) } }, 'and never half a session';
    like $ngx->error_log, qr/rule session_too_large: .*the biggest parts are claim "big" \(20003 bytes\), claim "small" \(55 bytes\), .*write "session_keep claims=small,sub;"/,
        'the log names the biggest claims and the line to write';
    $ngx->stop;
}
{
    my ($ngx, undef, $who) = start('session_keep claims=sub,big;');
    my $answer;
    $op->with(claims => { big => 'b' x 4_000 }, sub { $answer = $who->login('/app') });
    is $answer->status, 500, 'more than the header buffers hold: the login fails';
    like $ngx->error_log, qr/does not fit into the header of a request: write "large_client_header_buffers 4 \d+k;"/, 'the log has the size to set';
    my ($size) = $ngx->error_log =~ /large_client_header_buffers 4 (\d+)k/;
    $ngx->stop;
    ($ngx, undef, $who) = start('session_keep claims=sub,big;', server => "large_client_header_buffers 4 ${size}k;");
    $op->with(claims => { big => 'b' x 4_000 }, sub { is $who->login('/app')->status, 200, 'which is enough' });
    $ngx->stop;
}

# ---- what is kept ----

{
    my $keeps = sub {
        my ($keep, %option) = @_;
        my ($ngx, undef, $who) = site(op => $op, provider => $keep, location => 'add_header X-Color $oidc_claim_color; add_header X-Access $oidc_access_token;' . ($option{location} // ''));
        my $answer;
        $op->with(claims => { color => 'green', groups => ['a'] }, sub { $answer = $who->login('/app') });
        $ngx->stop;
        return join ' ', $answer->header('X-Color') // '-', length($answer->header('X-Access') // '') ? 'token' : '-';
    };
    is $keeps->(''), 'green token', 'what the configuration uses is kept, in every store';
    is $keeps->('session_keep claims=color;'), 'green -', 'no token where session_keep names none';
    is $keeps->('session_keep access_token;'), 'green token', 'without a word about claims these are the used ones';
    is $keeps->('session_keep access_token claims=sub;'), '- token', 'no claim that it does not name';
    is $keeps->('session_keep access_token claims=color;', location => 'auth_oidc_require groups a;'), 'green token', 'what a rule asks for is there in any case';
}

# ---- the idle life ----

{
    my ($ngx, undef, $who) = start('session_idle_timeout 20s;', server => 'expires 1h; location = /cached { auth_oidc my_idp; add_header Cache-Control public; alias %%DIR%%/cached; }');
    $ngx->write_file('cached', "cached\n");
    $who->login('/app');
    my %before = parts($who);
    my $answer;
    OIDC::Nginx::wait_until(sub { ($answer = $who->get('/cached'))->cookie($name) }, 20);
    is $answer->status, 200, 'used after a tenth of the idle life';
    isnt $answer->cookie($name)->{value}, $before{$name}, 'the cookie is written anew';
    is join('|', $answer->headers_all('Cache-Control')), 'private, no-store', 'and nobody keeps that answer';
    ok !$answer->header('Expires'), 'whatever the site says';
    ok !$who->get('/cached')->cookie($name), 'not at every request';
    is $who->get('/cached')->header('Cache-Control'), 'max-age=3600, public', 'other answers are as the site wants them' or diag join '|', $who->get('/cached')->headers_all('Cache-Control');
    $ngx->stop;
}

# ---- mistakes ----

sub block { my ($text, $more) = @_; return "oidc_provider p { issuer https://p.example; client_id x; $text } " . ($more // '') }
my $each = qr/in "session_keep", it takes id_token, access_token, refresh_token and claims=name,name, each once in oidc_provider "p"/;
like conf_error(block("session_keep $_->[0];")), qr/invalid parameter "\Q$_->[1]\E" $each/, "session_keep $_->[0]"
    for ['everything', 'everything'], ['id_token id_token', 'id_token'], ['claims=', 'claims='], ['claims=a,,b', 'claims=a,,b'], ['claims=a claims=b', 'claims=b'];
like conf_error(block('session_store cookie;', 'server { listen 127.0.0.1:%%PORT_x%%; server_name x; large_client_header_buffers 4 4k; location / { auth_oidc p; root /; } }')),
    qr/"session_store cookie" needs larger buffers for the header of a request: write "large_client_header_buffers 4 8k;" in oidc_provider "p"/, 'small header buffers';
like join("\n", conf_warnings(block('session_keep claims=sub;', 'server { listen 127.0.0.1:%%PORT_x%%; server_name x; location / { auth_oidc p; root /; add_header X $oidc_id_token; } }'))),
    qr/"session_keep" does not name id_token, so "\$oidc_id_token" is empty, in oidc_provider "p"/, 'a used token that is not kept';

done_testing;
