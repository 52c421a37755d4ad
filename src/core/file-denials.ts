/**
 * What is never open by itself: a person’s own patterns come on top of these, and each can be lifted by its very text.
 * One name is denied in every folder, so that the home of another user is no way around.
 */

/** Keys, and what holds them. */
const KEYS = [
  ...['.openclaw*', '.ssh', '.gnupg', '.aws', '.azure', '.kube', '.netrc', '.git-credentials', '.password-store'],
  ...['.npmrc', '.pypirc', '.pgpass', '.my.cnf', '.vault-token', '.env', '.env.*', '.*_history', '*.key', '*.pem'],
  ...['/**/.docker/config.json', '/**/.config/gh', '/**/.config/gcloud', '/**/.cargo/credentials*'],
  ...['/**/.local/share/keyrings', '/**/.mozilla', '/**/.config/google-chrome', '/**/.config/chromium'],
  ...['/etc/shadow*', '/etc/gshadow*'],
] as const;

/** What is run, or says what is run, at a login, at a start, at a time, or by a program that somebody uses daily. */
const STARTERS = [
  ...['.bash*', '.profile', '.zshrc', '.zshenv', '.zprofile', '.zlogin', '.zlogout', '.kshrc', '.cshrc', '.tcshrc'],
  ...['.login', '.logout', '.inputrc', '.pam_environment', '.xprofile', '.xinitrc', '.xsession*', '.xserverrc'],
  ...['.vimrc', '.vim', '.exrc', '.emacs*', '.tmux.conf', '.screenrc', '.gdbinit', '.gitconfig', '.forward'],
  ...['authorized_keys*', 'crontab*', 'crontabs', '*.service', '*.timer', '*.socket', '*.path', '*.desktop', '~/bin'],
  ...['/**/.config/systemd', '/**/.local/share/systemd', '/**/.config/environment.d', '/**/.config/autostart'],
  ...['/**/.config/plasma-workspace', '/**/.config/fish', '/**/.config/git', '/**/.config/nvim', '/**/.local/bin'],
  ...['/**/.local/lib', '/**/.cargo/bin', '/**/.cargo/config*', '/**/.git/hooks', '/**/.git/config'],
  ...['/usr', '/bin', '/sbin', '/lib*', '/boot', '/run', '/var/spool/cron', '/var/spool/at', '/var/spool/anacron'],
  ...['/etc/cron*', '/etc/anacrontab', '/etc/at.*', '/etc/systemd', '/etc/init*', '/etc/rc*', '/etc/inittab'],
  ...['/etc/profile*', '/etc/bash*', '/etc/zsh*', '/etc/fish', '/etc/environment', '/etc/xdg', '/etc/X11', '/etc/skel'],
  ...['/etc/passwd*', '/etc/group*', '/etc/sudoers*', '/etc/doas.conf', '/etc/pam*', '/etc/security', '/etc/polkit-1'],
  ...['/etc/ld.so*', '/etc/nsswitch.conf', '/etc/udev', '/etc/modprobe.d', '/etc/modules*', '/etc/dbus-1'],
  ...['/etc/apt', '/etc/alternatives', '/etc/logrotate*', '/etc/NetworkManager', '/etc/network', '/etc/default'],
] as const;

export const DENIED = { read: KEYS, write: [...KEYS, ...STARTERS] } as const;
