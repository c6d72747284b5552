# auth_oidc_page: the site's own page in place of ours, with the status of ours and the facts in variables.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new;
my $facts = 'login=$oidc_login_url back=$oidc_return_to error=$oidc_error';
my $site = sub {
    my (%option) = @_;
    my ($ngx) = site(op => $op, auth => $option{auth} // 'auth_oidc my_idp other;', provider => 'logout_uri /bye;', http => OIDC::Test::provider_conf($op, name => 'other'), server => <<"END");
        auth_oidc my_idp other;
        auth_oidc_page signin /page/signin?a=b;
        auth_oidc_page error /page/error;
        auth_oidc_page signed_out /page/out;
        location /page/ { ssi on; ssi_types *; default_type text/html; root %%DIR%%; @{[$option{page} // '']} }
        location /back/ { proxy_pass http://127.0.0.1:%%PORT_app%%; }
        location /built-in/ { auth_oidc_page signin /back/signin; proxy_pass http://127.0.0.1:%%PORT_app%%; }
        location /asks/ { error_page 401 /page/other; proxy_pass http://127.0.0.1:%%PORT_app%%; }
        location /rule/ { auth_oidc_require sub nobody; proxy_pass http://127.0.0.1:%%PORT_app%%; }
END
    mkdir $ngx->dir . '/page';
    chmod 0755, $ngx->dir, $ngx->dir . '/page';
    $ngx->write_file("page/$_", "page $_: login=<!--#echo var=\"oidc_login_url\" --> back=<!--#echo var=\"oidc_return_to\" --> error=<!--#echo var=\"oidc_error\" --> args=<!--#echo var=\"args\" -->\n") for qw(signin error out other);
    return $ngx;
};
my $ngx = $site->();
my $base = 'http://localhost:' . $ngx->port('site');

subtest 'signin' => sub {
    my $answer = get('/app?c=d');
    is $answer->status, 401, 'the status of ours';
    like $answer->body, qr{^page signin: login=/oidc_login\?provider=my_idp&amp;return_to=%2Fapp%3Fc%3Dd back=/app\?c=d error=.* args=a=b$}, 'the page of the site, with the facts';
    is $answer->header('Cache-Control'), 'no-store', 'which nobody keeps';
    like $answer->header('Content-Type'), qr{^text/html}, 'with its own type';
    $answer = get('/oidc_login?return_to=/there');
    is $answer->status, 200, 'at login_uri 200';
    like $answer->body, qr{^page signin: login=/oidc_login\?provider=my_idp&amp;return_to=%2Fthere back=/there }, 'with the target that was asked for';
    my $posted = post('/app', { a => 1 });
    is $posted->status, 401, 'a form that met no session';
    like $posted->body, qr{^page signin: .* back=/ }, 'gets the page too';
    is get('/app', kind => 'fetch')->json->{error}, 'login_required', 'a program gets its own answer';
    like get('/built-in/x')->body, qr{^app GET /back/signin}, 'a page of the application behind, and a location with its own';
    is get('/built-in/x')->status, 401, 'with the status of ours';
    is +OIDC::Test::browser($ngx, $op)->request('HEAD', '/app')->status, 401, 'HEAD';
    like get('/asks/x')->body, qr{^page signin}, 'over error_page';
    is get('/page/other')->status, 401, 'the pages themselves are protected when asked for';
};

subtest 'error' => sub {
    my $answer = get('/oidc_callback?code=x&state=y');
    is $answer->status, 400, 'the status of ours';
    like $answer->body, qr{^page error: login=/oidc_login .*error=ticket_missing }, 'the page of the site, with the reason';
    my $visitor = OIDC::Test::browser($ngx, $op);
    $visitor->login('/oidc_login?provider=my_idp&return_to=/app');
    $answer = $visitor->get('/rule/x');
    is $answer->status, 403, 'a rule that does not hold';
    like $answer->body, qr{^page error: .*error=}, 'the same';
};

subtest 'signed_out' => sub {
    my $visitor = OIDC::Test::browser($ngx, $op);
    is $visitor->login('/oidc_login?provider=my_idp&return_to=/app')->status, 200, 'signed in';
    my $answer = $op->with(metadata => { end_session_endpoint => '' }, sub { $visitor->get('/bye', from => "$base/app", follow => 0) });
    if ($answer->status == 302) {    # the metadata were there before
        pass 'the provider signs out too';
        $answer = $visitor->get('/bye', from => "$base/app", follow => 0);
    }
    is $answer->status, 200, 'afterwards 200';
    like $answer->body, qr{^page out: login=/oidc_login\?provider=my_idp&amp;return_to=%2F }, 'the page of the site';
};
$ngx->stop;

$ngx = $site->(page => 'error_page 404 /page/signin;');
unlink $ngx->dir . '/page/signin';
is get('/app')->status, 404, 'a page that is missing is a plain 404, and no circle';
$ngx->stop;

for my $case (
    ['signin', qr/^invalid number of arguments in "auth_oidc_page" directive/],
    ['welcome /x', qr/^invalid value "welcome" in "auth_oidc_page", it must be "signin", "error" or "signed_out"/],
    ['signin x', qr/^invalid value "x" in "auth_oidc_page", write a path of this site that begins with "\/"/],
    ['error //x/y', qr/^invalid value "\/\/x\/y" in "auth_oidc_page", write a path of this site that begins with "\/"/],
    ['error https://x/', qr/^invalid value "https:\/\/x\/" in "auth_oidc_page", write a path/],
    ['error /a; auth_oidc_page error /b', qr/^"auth_oidc_page error" is given twice: remove one of them/],
) {
    my ($text, $expected) = @$case;
    like conf_error("server { auth_oidc_page $text; }"), $expected, "auth_oidc_page $text";
}

done_testing;
