# Where a login or a logout may lead: whatever is written into return_to, target_link_uri or the request itself, and however it is encoded,
# the browser stays on this site. Each Location is read as browsers read it, which is more forgiving than any RFC.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my ($ngx, $op, $browser) = site(
    provider => 'logout_uri /logout; post_logout_uri /bye;', nginx => { main => '' },
    http => 'absolute_redirect off;', server => 'location = /bye { return 200 "bye\n"; }',
);
my $base = $browser->{base};

# The WHATWG URL standard, as far as it can lead elsewhere: blanks and controls around are cut off, tabs and line breaks go wherever they
# are, a backslash is a slash, and a scheme may be followed by any number of them.
sub origin_of {
    my ($location) = @_;
    $location =~ s/^[\x00-\x20]+|[\x00-\x20]+$//g;
    $location =~ s/[\t\r\n]//g;
    $location =~ tr{\\}{/};
    return "$1 " . lc $2 if $location =~ m{^([a-z][a-z0-9+.-]*):/*(?:[^/?#]*@)?([^/?#]*)}i;
    return 'http ' . lc $1 if $location =~ m{^//+(?:[^/?#]*@)?([^/?#]*)};
    return 'here';
}
my ($own) = $base =~ m{^http://(.*)};
sub stays { my ($location) = @_; my $origin = origin_of($location // 'x:none'); return $origin eq 'here' || $origin eq "http $own" }

ok !stays($_), "the judge would see " . ($_ =~ s/[\x00-\x1f]/_/gr)
    for 'https://evil.example', '//evil.example', '/\\evil.example', "\t//evil.example", "/\t/evil.example", 'http:evil.example', "$base\@evil.example/", 'javascript:alert(1)', "$base.evil.example/";

my @hosts = ('evil.example', 'evil.example%00', 'evil。example', '0x7f.1', 'user@evil.example', "$own\@evil.example", "$own.evil.example", '[::1]');
my @begins = ('//', '///', '////', '\\\\', '/\\', '\\/', '/\\/', '/%09/', '/%5c', '%2f%2f', '%2F%2F', '/%2f', '%5c%5c', '/;//', '/.//', '/..//', '/%2e%2e//', "/\t/", "\t//", ' //', "/\n/", "/\r\n/",
    "\x00//", "/\x0b/", "/\x0c/", "/\xc2\xa0/", "/\xe2\x80\x8b/", 'http://', 'https://', 'HTTPS://', 'http:', 'https:', 'http:\\\\', 'https:/', "ht\ttp://", ' https://', "\x01https://", 'ftp://', '//%0d%0a', '/@', '@', '.', '..//', '?//', '#//', '');
my @schemes = ('javascript:alert(1)', "java\tscript:alert(1)", 'JaVaScRiPt:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'blob:x', 'about:blank', 'view-source:x', 'intent://x', 'mailto:x');
my @evil = ((map { my $begin = $_; map { "$begin$_" } @hosts[0, 1, 4, 5] } @begins), (map { "//$_/" } @hosts), @schemes, "/x\r\nSet-Cookie: a=b", "/x\r\nLocation: https://evil.example", "/\xff\xfe", '/' . '/evil.example' x 200);
note scalar(@evil) . ' targets';

# A whole login takes its time: these few stand for the rest, which the logout below goes through.
my @few = ((map { "$_$hosts[0]" } grep { !/[;.?#@\x0b\xc2\xe2]/ } @begins[0 .. 25]), @schemes[0, 1], "/x\r\nSet-Cookie: a=b");
my (@away, @split);
for my $evil (@few) {
    for my $text (escape($evil)) {
        for my $query ("return_to=$text", $evil =~ /^(?:[a-z]+:|.?.?\/)/i ? "target_link_uri=$text&iss=" . escape($op->issuer) : ()) {
            my $who = $browser->fresh;
            my $begun = $who->begin("/oidc_login?provider=my_idp&$query" =~ s/provider=my_idp&(target)/$1/r);
            next if $begun->status != 302;
            my $back = $who->open_callback($who->approve($begun)->location);
            push @away, "login $query: " . ($back->location // $back->status) unless stays($back->location);
            push @split, $query if $back->cookie('a') || scalar(my @all = $back->headers_all('Location')) != 1;
        }
    }
}
is_deeply \@away, [], 'no login leads off the site';
is_deeply \@split, [], 'nor writes a header of its own';

@away = @split = ();
for my $text (map { (escape($_), escape(escape($_)), /[\x00-\x20\x7f-\xff#&]/ ? () : $_) } @evil) {
    my $out = $browser->get("/logout?return_to=$text", site => 'none');
    push @away, "logout $text: " . ($out->location // $out->status) unless stays($out->location);
    push @split, $text if $out->cookie('a');
}
is_deeply \@away, [], 'no logout without a session leads off the site';
is_deeply \@split, [], 'nor writes a header';

my $who = $browser->fresh;
@away = ();
for my $evil (grep { !/[\x00-\x20\x7f-\xff]/ } @few) {
    $who->login('/app') unless has_session($who);
    my $out = $who->get('/logout?return_to=' . escape($evil), site => 'none');
    my $back = $who->get('/bye?state=' . ($out->query->{state} // ''), site => 'cross-site');
    push @away, "logout $evil: " . $back->location if $back->status == 302 && !stays($back->location);
}
is_deeply \@away, [], 'no logout over the provider does';

# A page whose own address looks like another site's.
@away = ();
for my $target (grep { m{^/} && !/[\x00-\x20\x7f-\xff#]/ } @few) {
    my $who = $browser->fresh;
    my $begun = $who->get($target, kind => 'navigate');
    next if $begun->status != 302 || $begun->location !~ /authorize/;
    my $back = $who->open_callback($who->approve($begun)->location);
    push @away, "$target: " . ($back->location // $back->status) unless stays($back->location);
}
is_deeply \@away, [], 'nor does a page whose own address looks like another site';

done_testing;
