import { BadRequestException, Body, Controller, Get, Inject, Module, Post, UseGuards } from '@nestjs/common';
import {
  CurrentPrincipal,
  CurrentUser,
  OptionalAuth,
  Passage,
  PassageGuard,
  PassageModule,
  type PassageUser,
  type Principal,
  Public,
  UserId,
} from '@passage-auth/nestjs';

@Controller()
@UseGuards(PassageGuard)
class AppController {
  constructor(@Inject(Passage) private readonly passage: Passage) {}

  @Get() @Public() index() {
    return { message: 'Anyone may read this' };
  }

  @Get('me') me(@CurrentPrincipal() { userId }: Principal, @CurrentUser() user: PassageUser) {
    return { userId, user };
  }

  @Get('anyone') @OptionalAuth() anyone(@UserId() userId?: string) {
    return { userId: userId ?? null };
  }

  @Post('invite') async invite(@Body('email') email: unknown) {
    if (typeof email !== 'string' || !/^[^@\s]+@[^@\s]+$/.test(email)) {
      throw new BadRequestException('"email" must be an email address');
    }
    await this.passage.auth.createMagicLink({ email, type: 'login', send: true });
    return { email };
  }
}

const ClaimsOnly = Symbol('claims only');

@Controller(['protected', 'child/protected'])
@UseGuards(PassageGuard.for(ClaimsOnly))
class ClaimsController {
  @Get() claims(@UserId() userId: string) {
    return { userId };
  }
}

const claimsOnly = PassageModule.forRootAsync({
  token: ClaimsOnly,
  inject: [Passage],
  useFactory: (passage: Passage) => ({ passage, loadUser: false }),
});

@Module({ imports: [PassageModule.forRoot(), claimsOnly], controllers: [AppController, ClaimsController] })
export class AppModule {}
